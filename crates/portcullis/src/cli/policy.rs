//! `portcullis policy`

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use portcullis_config::quantity;
use portcullis_rego::{Module, Outcome, Tested, test};

use super::print;

/// The most folders within folders.
const DEEPEST: usize = 16;

/// Options of `policy`.
#[derive(Debug, clap::Args)]
pub(super) struct Policy {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run the tests of Rego policies: every rule whose name begins with `test_` must hold
    #[command(
        after_help = "The exit status is 0 when all tests hold, and 1 when one does not, when \
        there is none, or when a file is wrong. Rules that begin with `todo_test_` are counted and \
        not run.\n\nExamples:\n  \
        portcullis policy test policies/\n  \
        portcullis policy test --verbose gateway.rego gateway_test.rego data.json"
    )]
    Test(Test),
}

/// Options of `policy test`.
#[derive(Debug, clap::Args)]
struct Test {
    /// Modules (`.rego`) and data (`.json`), or folders of them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Also print the tests that hold
    #[arg(long, short)]
    verbose: bool,
    /// The longest that one test takes
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = quantity::duration)]
    timeout: Duration,
}

impl Policy {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Test(test) => test.execute(),
        }
    }
}

impl Test {
    fn execute(self) -> anyhow::Result<ExitCode> {
        let mut files = BTreeSet::new();
        for path in &self.paths {
            find(path, 0, &mut files).with_context(|| path.display().to_string())?;
        }
        let (mut modules, mut data) = (Vec::new(), Vec::new());
        for path in files {
            let name = path.display().to_string();
            let text = std::fs::read_to_string(&path).with_context(|| name.clone())?;
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("rego") => modules.push(Module { name, text }),
                Some("json") => data.push(text),
                _ => bail!("{name} is neither a module (.rego) nor data (.json)"),
            }
        }
        let data: Vec<&str> = data.iter().map(String::as_str).collect();
        let tested = test(&modules, &data, self.timeout)?;
        if tested.is_empty() {
            bail!("there is no test: no rule has a name that begins with `test_`");
        }
        print(&told(&tested, self.verbose))?;
        let good = |one: &Tested| matches!(one.outcome, Outcome::Passed | Outcome::Todo);
        Ok(if tested.iter().all(good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Adds a file, or what a folder has of modules and data.
fn find(path: &Path, depth: usize, files: &mut BTreeSet<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        files.insert(path.to_owned());
        return Ok(());
    }
    if depth == DEEPEST {
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let known = path.extension().is_some_and(|end| end == "rego" || end == "json");
        if known || path.is_dir() {
            find(&path, depth + 1, files)?;
        }
    }
    Ok(())
}

/// What came of tests: those that do not hold, or all of them, and a line that counts.
fn told(tested: &[Tested], verbose: bool) -> String {
    let mut text = String::new();
    let mut counts = [0_usize; 4];
    for Tested { name, outcome, took } in tested {
        let (place, word) = match outcome {
            Outcome::Passed => (0, "pass "),
            Outcome::Failed => (1, "FAIL "),
            Outcome::Error(_) => (2, "ERROR"),
            Outcome::Todo => (3, "todo "),
        };
        counts[place] += 1;
        if !verbose && matches!(outcome, Outcome::Passed) {
            continue;
        }
        // Writing to a string does not fail.
        let _ = writeln!(text, "{word} {name} ({took:.1?})");
        if let Outcome::Error(why) = outcome {
            why.lines().for_each(|line| {
                let _ = writeln!(text, "      {line}");
            });
        }
    }
    let [passed, failed, errors, todo] = counts;
    let _ = writeln!(text, "{passed} passed, {failed} failed, {errors} with errors, {todo} to do");
    text
}
