//! `portcullis check`

use std::io::{self, Write};
use std::process::ExitCode;

use portcullis_config::Report;
use portcullis_proxy::Compiler;

use super::{ConfigArg, colour, print};
use crate::reload;

/// Options of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArg,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How faults are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people, on standard error
    Text,
    /// A JSON array, on standard output
    Json,
}

impl Check {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let (mut loader, _) = super::loader(&self.config.config);
        // Everything that `run` would find is found here, but for addresses that are taken.
        let report = match loader.load() {
            Err(report) => report,
            Ok(loaded) => match Compiler::new(1).compile(&loaded.config, &loaded.changes) {
                Err(errors) => loaded.warnings.merge(reload::located(&loader, &errors)),
                Ok(compiled) => loaded.warnings.merge(reload::odd(&loader, &compiled.warnings)),
            },
        };
        self.show(&report)?;
        Ok(if report.errors() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn show(&self, report: &Report) -> anyhow::Result<()> {
        match self.format {
            Format::Json => {
                print(&format!("{}\n", serde_json::to_string_pretty(report)?))?;
            }
            Format::Text => {
                let mut err = io::stderr().lock();
                err.write_all(report.render(colour()).as_bytes())?;
                let path = self.config.config.display();
                match (report.errors(), report.warnings()) {
                    (0, 0) => writeln!(err, "{path}: fine")?,
                    (0, warnings) => {
                        writeln!(err, "\n{path}: usable, {}", count(warnings, "warning"))?
                    }
                    (errors, 0) => writeln!(err, "\n{path}: {}", count(errors, "error"))?,
                    (errors, warnings) => writeln!(
                        err,
                        "\n{path}: {}, {}",
                        count(errors, "error"),
                        count(warnings, "warning")
                    )?,
                }
            }
        }
        Ok(())
    }
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
