//! `portcullis upgrade`

use std::process::ExitCode;
use std::time::Duration;

use super::ask::{AdminArg, Ask};

/// How long an upgrade may take at most. The gateway itself has its `upgrade.timeout`, and answers
/// by then.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Options of `upgrade`.
#[derive(Debug, clap::Args)]
pub(super) struct Upgrade {
    #[command(flatten)]
    admin: AdminArg,
}

impl Upgrade {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let (path, key, done) = ("/upgrade", "pid", "upgraded");
        self.admin.ask(&Ask { path, key, done, patience: PATIENCE })
    }
}
