//! The real gateway, as a process of its own.

mod lines;
mod start;

use std::ffi::OsStr;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use serde_json::Value;

use crate::patience::until;
use crate::{Client, Config, Origin, Reply, TempDir, binary};
use lines::Lines;
pub use start::{Starting, signal};

/// A running gateway. It is killed when dropped.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    /// It leads a process group, which ends with it.
    group: bool,
    dir: TempDir,
    log: Lines,
    access_log: Lines,
}

/// How a gateway ended.
#[derive(Debug)]
pub struct Exited {
    /// Its exit code; none after a signal.
    pub code: Option<i32>,
    /// All that it logged.
    pub log: String,
    /// All that it wrote to its output.
    pub access_log: String,
}

impl Gateway {
    /// Starts one with this configuration and waits until it serves. Unless the text says
    /// otherwise it has one worker, so that there is one pool, and its admin listener takes any
    /// port.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(config: &impl Display) -> Gateway {
        Starting::new(config).start()
    }

    /// Starts one with one worker in front of an origin.
    #[must_use]
    pub fn before(origin: &Origin) -> Gateway {
        Gateway::start(&Config::before(origin))
    }

    /// The address of the listener `web`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address_of("web")
    }

    /// The address of a listener, as soon as it listens.
    ///
    /// # Panics
    /// It never does.
    #[must_use]
    pub fn address_of(&self, listener: &str) -> SocketAddr {
        self.logged_address(&format!("listening listener={listener} address="))
    }

    fn logged_address(&self, mark: &str) -> SocketAddr {
        // Values may be quoted.
        let line = self.log.wait_for_line(mark, |line| line.replace('"', "").contains(mark));
        let line = line.replace('"', "");
        let after = line.split(mark).nth(1).unwrap_or_default();
        let address = after.split_whitespace().next().unwrap_or_default();
        address.parse().unwrap_or_else(|e| panic!("{address:?} in {line:?}: {e}"))
    }

    /// A new connection to the listener `web`.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::connect(self.address())
    }

    /// Sends bytes on a new connection to `web` and reads one reply.
    #[must_use]
    pub fn ask(&self, bytes: impl AsRef<[u8]>) -> Reply {
        self.client().ask(bytes)
    }

    /// Asks `web` for a path of `a.example` on a new connection.
    #[must_use]
    pub fn get(&self, path: &str) -> Reply {
        self.client().get(path)
    }

    /// The directory that its configuration stands in.
    #[must_use]
    pub fn dir(&self) -> &TempDir {
        &self.dir
    }

    /// The path of its configuration.
    #[must_use]
    pub fn config_path(&self) -> std::path::PathBuf {
        self.dir.join("gateway.yaml")
    }

    /// Writes a new configuration in the place of the old.
    pub fn write_config(&self, config: &impl Display) {
        self.dir.write("gateway.yaml", completed(config));
    }

    /// Asks the admin listener to reload.
    #[must_use]
    pub fn reload(&self) -> Reply {
        self.admin("POST", "/reload")
    }

    /// Asks the admin listener.
    ///
    /// # Panics
    /// It gives no answer.
    #[must_use]
    pub fn admin(&self, method: &str, path: &str) -> Reply {
        let address = self.admin_address();
        Client::connect(address).ask(format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        ))
    }

    /// The address of the admin listener.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.logged_address("admin address=")
    }

    /// The sum of a metric over all series whose labels contain this text; 0 when there is none.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &str) -> f64 {
        let page = self.admin("GET", "/metrics").text();
        let mut sum = 0.0;
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else { continue };
            if series.split('{').next() == Some(name) && series.contains(labels) {
                sum += value.parse::<f64>().unwrap_or_default();
            }
        }
        sum
    }

    /// Waits for the first access-log line for this path.
    ///
    /// # Panics
    /// None comes.
    #[must_use]
    pub fn logged_request(&self, path: &str) -> Value {
        let found = until(|| self.logged_requests().into_iter().find(|line| line["path"] == path));
        found.unwrap_or_else(|| panic!("no request for {path} in {:?}", self.access_log.all()))
    }

    /// The access log so far.
    ///
    /// # Panics
    /// A line is no JSON.
    #[must_use]
    pub fn logged_requests(&self) -> Vec<Value> {
        let parse = |line: String| serde_json::from_str(&line).expect("a line of JSON");
        self.access_log.all().into_iter().map(parse).collect()
    }

    /// Waits for a log line with this text.
    pub fn wait_for_log(&self, text: &str) -> String {
        self.log.wait_for(text)
    }

    /// The log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.all().join("\n")
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory in bytes.
    ///
    /// # Panics
    /// It is gone.
    #[must_use]
    pub fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("a process that lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).expect("its memory");
        kib.parse::<u64>().expect("a number") * 1024
    }

    /// Sends a signal: `TERM`, `HUP`.
    ///
    /// # Panics
    /// There is no such process.
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for the process to end by itself.
    ///
    /// # Panics
    /// It does not.
    #[must_use]
    pub fn exited(mut self) -> Exited {
        let status = until(|| self.child.try_wait().expect("a child of ours"));
        let status = status.expect("a gateway that ends");
        self.log.wait_for_end();
        self.access_log.wait_for_end();
        Exited {
            code: status.code(),
            log: self.log(),
            access_log: self.access_log.all().join("\n"),
        }
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Panics
    /// It does not, or not with success.
    pub fn stop(self) {
        self.signal("TERM");
        let exited = self.exited();
        assert_eq!(exited.code, Some(0), "{}", exited.log);
    }

    /// Kills it: every connection that it has is closed when this returns.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        start::kill(&mut self.child, self.group);
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.end();
        if thread::panicking() {
            eprintln!("--- the gateway's log\n{}\n---", self.log());
        }
    }
}

/// Runs the gateway's binary with these arguments until it ends.
///
/// # Panics
/// There is no such binary.
pub fn run_command(arguments: &[&str], dir: &Path) -> Output {
    let output = command(binary()).args(arguments).current_dir(dir).output();
    output.expect("the gateway's binary")
}

/// A program, with nothing of this environment that would change what the gateway does.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    for variable in
        ["PORTCULLIS_CONFIG", "PORTCULLIS_ADMIN", "RUST_LOG", "NOTIFY_SOCKET", "WATCHDOG_USEC"]
    {
        command.env_remove(variable);
    }
    for (variable, _) in std::env::vars_os() {
        if variable.as_encoded_bytes().starts_with(b"VAULT_") {
            command.env_remove(variable);
        }
    }
    command
}

/// The text with what a test needs and seldom says.
fn completed(config: &impl Display) -> String {
    let mut text = config.to_string();
    for (key, line) in
        [("admin:", "admin: { address: \"127.0.0.1:0\" }\n"), ("workers:", "workers: 1\n")]
    {
        if !text.lines().any(|line| line.starts_with(key)) {
            text.push_str(line);
        }
    }
    text
}
