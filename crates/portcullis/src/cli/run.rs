//! `portcullis run`

use std::path::PathBuf;
use std::process::ExitCode;

use super::ConfigArg;
use crate::app::{self, Origin};
use crate::manager::Manager;
use crate::passed;
use crate::upgrade::{Program, Takeover};

/// Options of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigArg,
    /// A file to write the number of the process to that serves
    #[arg(long, value_name = "PATH")]
    pid_file: Option<PathBuf>,
}

impl Run {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        app::init_logging();
        let (loader, vault) = super::loader(&self.config.config);
        let origin = Origin {
            vault: Some(vault),
            passed: passed::take(),
            takeover: Takeover::from_environment()?,
            program: Some(Program::of_this_process()?),
            manager: Manager::from_environment(),
            pid_file: self.pid_file,
        };
        app::run(loader, origin, || Ok(()))
    }
}
