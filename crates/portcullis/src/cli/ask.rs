//! Asking a running gateway's admin listener to do something.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use super::print;

/// Which gateway.
#[derive(Debug, clap::Args)]
pub(super) struct AdminArg {
    /// Address of the gateway's admin listener
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "PORTCULLIS_ADMIN",
        default_value = "127.0.0.1:9901"
    )]
    admin: SocketAddr,
}

/// Something to ask for.
pub(super) struct Ask {
    pub(super) path: &'static str,
    /// A key that every summary of this has.
    pub(super) key: &'static str,
    /// What has not happened when it fails.
    pub(super) done: &'static str,
    /// How long the answer may take.
    pub(super) patience: Duration,
}

impl AdminArg {
    /// Asks, waits, and prints the outcome.
    ///
    /// # Errors
    /// What answers, if anything does, is no gateway.
    pub(super) fn ask(&self, ask: &Ask) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (status, answer) = runtime
            .block_on(async { timeout(ask.patience, self.post(ask.path)).await? })
            .with_context(|| {
                format!("no answer from a gateway's admin listener at {}", self.admin)
            })?;
        if status == StatusCode::OK {
            let summary: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
            anyhow::ensure!(
                summary.get(ask.key).is_some(),
                "what answers at {} is not a gateway's admin listener",
                self.admin
            );
            return print(&answer);
        }
        io::stderr().write_all(answer.as_bytes())?;
        writeln!(io::stderr(), "portcullis: not {} ({status})", ask.done)?;
        Ok(ExitCode::FAILURE)
    }

    async fn post(&self, path: &str) -> anyhow::Result<(StatusCode, String)> {
        let stream = tokio::net::TcpStream::connect(self.admin).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let request = Request::post(path)
            .header("host", self.admin.to_string())
            .body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        driver.abort();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
