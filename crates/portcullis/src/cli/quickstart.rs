//! `portcullis quickstart`

use std::process::ExitCode;

/// Options of `quickstart`.
#[derive(Debug, clap::Args)]
pub(super) struct Quickstart {}

impl Quickstart {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        Ok(ExitCode::FAILURE)
    }
}
