//! `portcullis reload`

use std::process::ExitCode;
use std::time::Duration;

use super::ask::{AdminArg, Ask};

/// How long a reload may take; the largest configurations take a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// Options of `reload`.
#[derive(Debug, clap::Args)]
pub(super) struct Reload {
    #[command(flatten)]
    admin: AdminArg,
}

impl Reload {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let (path, key, done) = ("/reload", "revision", "reloaded");
        self.admin.ask(&Ask { path, key, done, patience: PATIENCE })
    }
}
