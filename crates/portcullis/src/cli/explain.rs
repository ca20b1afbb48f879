//! `portcullis explain`

use std::process::ExitCode;

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Explain {}

impl Explain {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        Ok(ExitCode::FAILURE)
    }
}
