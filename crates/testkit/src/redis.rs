//! Real Redis servers: one, one behind Sentinels, a cluster. They take free ports, keep nothing, and
//! are gone with their test, whatever way that ends.
//!
//! Where the programs are missing, a test that asks [`redis_is_here`] first prints that it is
//! skipped, unless `PORTCULLIS_PEERS=required`.

mod cluster;
mod sentinel;

use std::env;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

pub use cluster::RedisCluster;
pub use sentinel::Watched;

use crate::patience::until;
use crate::process::Process;
use crate::{Authority, TempDir};

/// What counting needs of a server.
const RIGHTS: &str = "+eval +evalsha +time +hgetall +hset +hdel +pexpire +zadd +zremrangebyscore \
                      +zcard +hello +ping +select +cluster|slots +asking +readonly";
/// Attempts to start a server: another process may take the port that was free.
const ATTEMPTS: usize = 5;

/// Whether there are the programs of Redis. If not, the test is skipped, or fails if they must be
/// there.
///
/// # Panics
/// They are missing and `PORTCULLIS_PEERS` is `required`.
#[must_use]
pub fn redis_is_here() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = |name: &str| env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let missing = ["redis-server", "redis-sentinel", "redis-cli"].into_iter().find(|n| !found(n));
    let Some(name) = missing else { return true };
    let required = env::var_os("PORTCULLIS_PEERS").is_some_and(|value| value == "required");
    assert!(!required, "{name} is not installed; `peers/install` installs it");
    #[expect(clippy::print_stdout, reason = "who looks at the tests is to know")]
    {
        println!("skipped: {name} is not installed");
    }
    false
}

/// How a server is to be.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    login: Option<(String, String)>,
    tls: Option<(String, String, String)>,
    more: Vec<String>,
}

impl Setup {
    /// For this user alone, who may not do more than what counting needs. `default` may do anything.
    #[must_use]
    pub fn login(mut self, user: &str, password: &str) -> Setup {
        self.login = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Over TLS alone, with a certificate of this authority for `localhost`.
    #[must_use]
    pub fn tls(mut self, authority: &Authority) -> Setup {
        let issued = authority.issue(&["localhost", "127.0.0.1"]);
        self.tls = Some((authority.pem(), issued.cert, issued.key));
        self
    }

    /// With more arguments.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Setup {
        self.more.extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Panics
    /// It does not.
    #[must_use]
    pub fn start(self) -> Redis {
        for _ in 1..ATTEMPTS {
            if let Ok(redis) = Redis::run(self.clone(), free_port()) {
                return redis;
            }
        }
        Redis::run(self, free_port()).unwrap_or_else(|output| panic!("no server: {output}"))
    }

    fn arguments(&self, port: u16, dir: &TempDir) -> Vec<String> {
        let mut text = String::from("--bind 127.0.0.1 --save  --appendonly no --daemonize no");
        // What it must not persist is an argument without text.
        text += " --unixsocket redis.sock";
        match &self.tls {
            None => text += &format!(" --port {port}"),
            Some((ca, cert, key)) => {
                dir.write("ca.pem", ca);
                dir.write("cert.pem", cert);
                dir.write("key.pem", key);
                text += &format!(" --port 0 --tls-port {port} --tls-auth-clients no");
                text +=
                    " --tls-ca-cert-file ca.pem --tls-cert-file cert.pem --tls-key-file key.pem";
            }
        }
        let mut arguments: Vec<String> = text.split(' ').map(str::to_owned).collect();
        match &self.login {
            Some((user, password)) if user == "default" => {
                arguments.extend(["--requirepass".to_owned(), password.clone()]);
            }
            Some((user, password)) => {
                let rules = format!("user {user} on >{password} ~portcullis:* {RIGHTS}\n");
                dir.write("users.acl", rules + "user default off\n");
                arguments.extend(["--aclfile", "users.acl"].map(str::to_owned));
            }
            None => {}
        }
        arguments.extend(self.more.iter().cloned());
        arguments
    }
}

/// A server.
#[derive(Debug)]
pub struct Redis {
    setup: Setup,
    port: u16,
    process: Option<Process>,
    dir: TempDir,
}

impl Redis {
    /// One that takes everybody, at a free port.
    #[must_use]
    pub fn start() -> Redis {
        Setup::default().start()
    }

    fn run(setup: Setup, port: u16) -> Result<Redis, String> {
        let mut redis = Redis { setup, port, process: None, dir: TempDir::new() };
        if redis.begin() { Ok(redis) } else { Err(redis.output()) }
    }

    fn begin(&mut self) -> bool {
        let mut command = Command::new("redis-server");
        command.args(self.setup.arguments(self.port, &self.dir));
        let process = self.process.insert(Process::start(&command, self.dir.path()));
        let ready = |process: &mut Process| {
            let is_up = process.output().contains("eady to accept connections");
            (is_up || process.has_ended()).then_some(is_up)
        };
        until(|| ready(process)).unwrap_or(false)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address, for a configuration.
    #[must_use]
    pub fn address(&self) -> String {
        match self.setup.tls {
            None => format!("127.0.0.1:{}", self.port),
            Some(_) => format!("localhost:{}", self.port),
        }
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.join("redis.sock")
    }

    /// Asks it with `redis-cli`, over its Unix socket.
    ///
    /// # Panics
    /// There is no such program.
    #[must_use]
    pub fn ask(&self, arguments: &[&str]) -> String {
        ask(&["-s", &self.socket().to_string_lossy()], arguments)
    }

    /// Lets a user in who may not do more than what counting needs.
    ///
    /// # Panics
    /// The server does not take it.
    pub fn let_in(&self, user: &str, password: &str) {
        let password = format!(">{password}");
        let mut rules = vec!["ACL", "SETUSER", user, "on", &password, "~portcullis:*"];
        rules.extend(RIGHTS.split_whitespace());
        assert_eq!(self.ask(&rules), "OK");
    }

    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.ask(&["KEYS", "*"]).lines().map(str::to_owned).collect()
    }

    /// Sends it a signal: with `STOP` it answers nobody until `CONT`.
    ///
    /// # Panics
    /// It does not run.
    pub fn signal(&self, name: &str) {
        self.process.as_ref().expect("a server that runs").signal(name);
    }

    /// Ends it, with all that it knows.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again at the same port.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&mut self) {
        self.process = None;
        assert!(self.begin(), "no server: {}", self.output());
    }

    fn output(&self) -> String {
        self.process.as_ref().map(Process::output).unwrap_or_default()
    }
}

fn ask(server: &[&str], arguments: &[&str]) -> String {
    let output =
        Command::new("redis-cli").args(server).args(arguments).stdin(Stdio::null()).output();
    String::from_utf8_lossy(&output.expect("redis-cli").stdout).trim().to_owned()
}

fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
    socket.local_addr().expect("its address").port()
}
