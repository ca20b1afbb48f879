//! `portcullis quickstart`: a gateway and two sample instances in one process, and what to try.

mod demo;
mod guide;
mod ports;
mod sample;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::SystemTime;

use portcullis_config::{Format, Loader};

use super::print;
use crate::app::{self, Origin};
use demo::Demo;
use ports::Reserved;

/// What the configuration is called in messages.
const CONFIG_NAME: &str = "quickstart.yaml";

/// Options of `quickstart`.
#[derive(Debug, clap::Args)]
pub(super) struct Quickstart {
    /// Where the gateway listens; a free port is taken instead of one that is in use
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    address: SocketAddr,
    /// Where the admin listener listens; the same holds for its port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901")]
    admin: SocketAddr,
}

impl Quickstart {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let web = Reserved::at(self.address)?;
        let admin = Reserved::at(self.admin)?;
        let samples = sample::start(&["hello-1", "hello-2"])?;
        let demo = Demo::new(SystemTime::now())?;
        app::init_logging();
        let config = guide::config(web.address, admin.address, &samples, &demo);
        let text = guide::text(&program(), &web, &admin, &samples, &demo, &config);
        let loader = Loader::from_text(CONFIG_NAME, config, Format::Yaml);
        app::run(loader, Origin::default(), move || {
            // From here on the gateway itself holds the ports.
            drop((web, admin));
            print(&text).map(drop)
        })
    }
}

/// How a shell starts this program: in the way in which it was started.
fn program() -> String {
    let program = std::env::args_os().next().and_then(|program| program.into_string().ok());
    let program = program.unwrap_or_else(|| "portcullis".to_owned());
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if program.chars().all(plain) {
        return program;
    }
    format!("'{}'", program.replace('\'', r"'\''"))
}
