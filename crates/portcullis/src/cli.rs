//! The command line.

mod ask;
mod check;
mod explain;
mod key;
mod policy;
mod quickstart;
mod reload;
mod run;
mod upgrade;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};
use portcullis_config::Loader;
use portcullis_policies::Vault;

/// Where the configuration is looked for when nothing is said.
const DEFAULT_CONFIG: &str = "portcullis.yaml";

/// The command line as it is parsed.
#[derive(Debug, Parser)]
#[command(
    name = "portcullis",
    version,
    about = "An API gateway: one binary between clients and services",
    after_help = "Examples:\n  \
        portcullis quickstart                     try it, with nothing else installed\n  \
        portcullis check --config gateway.yaml    find every fault of a configuration\n  \
        portcullis run --config gateway.yaml      serve it\n  \
        portcullis explain GET http://api.example/users/7\n  \
        portcullis reload                         have the running gateway read it again\n  \
        portcullis upgrade                        replace the running gateway by a new binary",
    disable_help_subcommand = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a configuration
    #[command(after_help = "Signals: SIGHUP reads the configuration again and reopens the access \
        log; SIGUSR1 only reopens the access log; SIGUSR2 gives way to the binary as it is now; \
        SIGTERM and SIGINT let requests finish and end; a second one ends at once.\n\n\
        Example:\n  portcullis run --config /etc/portcullis/gateway.yaml")]
    Run(run::Run),
    /// Find every fault of a configuration; exit status 0 means that it can be used
    #[command(after_help = "Examples:\n  portcullis check --config gateway.yaml\n  \
        portcullis check --config conf.d/ --format json")]
    Check(check::Check),
    /// Print which route takes a request, why, and what else came into question
    #[command(
        after_help = "Nothing is sent. The exit status is 0 when the request would be taken, \
        1 when the configuration cannot be used, and 3 when no route takes the request or the \
        gateway refuses it.\n\nExamples:\n  \
        portcullis explain GET http://api.example/users/7\n  \
        portcullis explain -H 'x-env: canary' --client 10.1.2.3 POST /orders\n  \
        portcullis explain --config next.yaml GET /users/7"
    )]
    Explain(explain::Explain),
    /// Make, list and revoke API keys
    #[command(after_help = "Example:\n  portcullis key create shop --expires 90d")]
    Key(key::Key),
    /// Test policies
    Policy(policy::Policy),
    /// Have the running gateway read its configuration again
    #[command(after_help = "The exit status is 0 when the configuration is in use, and 1 when it \
        was refused and the one before still serves.\n\nExample:\n  \
        portcullis reload --admin 127.0.0.1:9901")]
    Reload(reload::Reload),
    /// Have the running gateway give way to its new binary
    #[command(after_help = "The exit status is 0 when the new process serves, and 1 when it does \
        not: then the old one goes on as before.\n\nExample:\n  \
        install portcullis /usr/local/bin/ && portcullis upgrade --admin 127.0.0.1:9901")]
    Upgrade(upgrade::Upgrade),
    /// Print the JSON Schema of configurations, for editors
    #[command(after_help = "Example:\n  portcullis schema > portcullis.schema.json\n\n\
        and as the first line of a configuration:\n  \
        # yaml-language-server: $schema=portcullis.schema.json")]
    Schema,
    /// Start a gateway with two instances of a sample service, and print what to try
    #[command(after_help = "Example:\n  portcullis quickstart --address 127.0.0.1:8000")]
    Quickstart(quickstart::Quickstart),
    /// Print the version
    Version,
    /// Print completions for a shell
    #[command(after_help = "Example:\n  portcullis completions bash \
        > /etc/bash_completion.d/portcullis")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Which configuration.
#[derive(Debug, clap::Args)]
struct ConfigArg {
    /// A configuration file, or a directory of them
    #[arg(long, short, value_name = "PATH", env = "PORTCULLIS_CONFIG", default_value = DEFAULT_CONFIG)]
    config: PathBuf,
}

/// Runs the command that the command line asks for.
pub(crate) fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(run) => run.execute(),
        Command::Check(check) => check.execute(),
        Command::Explain(explain) => explain.execute(),
        Command::Key(key) => key.execute(),
        Command::Policy(policy) => policy.execute(),
        Command::Reload(reload) => reload.execute(),
        Command::Upgrade(upgrade) => upgrade.execute(),
        Command::Schema => schema(),
        Command::Quickstart(quickstart) => quickstart.execute(),
        Command::Version => print(&format!("portcullis {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Completions { shell } => completions(shell),
    };
    match result {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "portcullis: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A loader of a configuration, and where the secrets come from that it refers to.
fn loader(path: &Path) -> (Loader, Arc<Vault>) {
    let vault = Arc::new(Vault::new(|name| std::env::var(name).ok()));
    let asked = Arc::clone(&vault);
    (Loader::new(path).secrets(move |reference| asked.read(reference)), vault)
}

fn schema() -> anyhow::Result<ExitCode> {
    let mut text = serde_json::to_string_pretty(&portcullis_config::schema())?;
    text.push('\n');
    print(&text)
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "portcullis", &mut out);
    io::stdout().write_all(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints text as a command's result.
fn print(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Whether what goes to standard error is coloured.
pub(crate) fn colour() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// A reader that has seen enough, such as `head`, is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
