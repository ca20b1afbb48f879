//! `portcullis explain`: what the gateway would do with a request, told without sending it.

mod again;
mod ask;
mod connection;
mod endpoints;
mod health;
mod json;
mod l4;
mod patterns;
mod text;
mod traffic;

use std::io::{self, Write};
use std::net::IpAddr;
use std::process::ExitCode;

use portcullis_config::{Loaded, Loader, Report};
use portcullis_proxy::explain::{self, Explanation, Outcome, Question};
use portcullis_proxy::{Compiled, Compiler};

use super::{ConfigArg, colour, print};
use crate::reload;
use ask::{Chosen, Url};

/// Exit status when no route takes the request.
const NOT_ROUTED: u8 = 3;

/// Options of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Explain {
    #[command(flatten)]
    config: ConfigArg,
    /// A header field of the request; may be given more than once
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = ask::field)]
    fields: Vec<(String, String)>,
    /// The address that the connection comes from
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    client: IpAddr,
    /// The listener that the request arrives at; otherwise the one that fits the URL, or the first
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// How to print the explanation
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The method
    method: String,
    /// A URL, or a path on the host `localhost`; `tcp://HOST:PORT` for a connection of bytes, with
    /// the method `CONNECT`
    #[arg(value_parser = ask::url)]
    url: Url,
}

/// How an explanation is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// A JSON object
    Json,
}

/// All that is told about a request.
struct Told<'a> {
    loader: &'a Loader,
    question: Question<'a>,
    chosen: Chosen<'a>,
    explanation: Explanation<'a>,
}

impl Explain {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let (mut loader, _) = super::loader(&self.config.config);
        let (loaded, compiled) = match compile(&mut loader) {
            Ok(compiled) => compiled,
            Err(report) => {
                io::stderr().write_all(report.render(colour()).as_bytes())?;
                return Ok(ExitCode::FAILURE);
            }
        };
        if self.url.bytes {
            let (snapshot, named) = (&compiled.snapshot, self.listener.as_deref());
            let (page, taken) = l4::explain(&loader, &loaded.config, snapshot, named, &self.url)?;
            anyhow::ensure!(self.format == Format::Text, "connections are explained as text alone");
            print(&page)?;
            return Ok(if taken { ExitCode::SUCCESS } else { ExitCode::from(NOT_ROUTED) });
        }
        let chosen = ask::choose(&loaded.config, self.listener.as_deref(), &self.url)?;
        let snapshot = &compiled.snapshot;
        let Some(listener) = snapshot.listeners.get(&chosen.listener.name) else {
            anyhow::bail!("listener {:?} was not compiled", chosen.listener.name);
        };
        let question = Question {
            listener,
            method: &self.method,
            target: &self.url.target,
            host: &self.url.authority,
            fields: &self.fields,
            peer: ask::peer(chosen.listener, self.client),
        };
        let explanation = explain::explain(snapshot, &question);
        let routed = !matches!(explanation.outcome, Outcome::Refused(..));
        let told = Told { loader: &loader, question, chosen, explanation };
        match self.format {
            Format::Text => print(&text::render(&told))?,
            Format::Json => print(&format!("{:#}\n", json::render(&told)))?,
        };
        Ok(if routed { ExitCode::SUCCESS } else { ExitCode::from(NOT_ROUTED) })
    }
}

/// Everything but listening, so that all that `run` would refuse is refused here.
fn compile(loader: &mut Loader) -> Result<(Loaded, Compiled), Report> {
    let loaded = loader.load()?;
    match Compiler::new(1).compile(&loaded.config, &loaded.changes) {
        Ok(compiled) => Ok((loaded, compiled)),
        Err(errors) => Err(loaded.warnings.merge(reload::located(loader, &errors))),
    }
}

impl Told<'_> {
    /// `file:line:column` of something that was written.
    fn place(&self, path: &[&str]) -> Option<String> {
        self.loader.locate(path).map(|place| place.to_string())
    }
}
