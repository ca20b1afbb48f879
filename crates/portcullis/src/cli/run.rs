//! `portcullis run`

use std::process::ExitCode;

use super::ConfigArg;
use crate::app;

/// Options of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigArg,
}

impl Run {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        app::init_logging();
        app::run(portcullis_config::Loader::new(&self.config.config), || Ok(()))
    }
}
