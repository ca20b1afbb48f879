//! A server, a replica, and the Sentinel that makes it the primary when the first one goes.

use std::process::Command;

use super::{Redis, Setup, ask, free_port};
use crate::TempDir;
use crate::patience::eventually;
use crate::process::Process;

/// A primary called `limits` and its replica, watched by a Sentinel.
#[derive(Debug)]
pub struct Watched {
    servers: [Redis; 2],
    port: u16,
    _sentinel: Process,
    _dir: TempDir,
}

impl Watched {
    /// Starts them and waits until the Sentinel knows the replica.
    ///
    /// # Panics
    /// It never does.
    #[must_use]
    pub fn start() -> Watched {
        let primary = Redis::start();
        let port = primary.port().to_string();
        let arguments = ["--replicaof", "127.0.0.1", &port, "--repl-diskless-sync-delay", "0"];
        let replica = Setup::default().with(&arguments).start();
        let synced = || replica.ask(&["INFO", "replication"]).contains("master_link_status:up");
        assert!(eventually(synced), "no replica");

        let dir = TempDir::new();
        let port = free_port();
        let config = dir.write(
            "sentinel.conf",
            format!(
                "port {port}\nbind 127.0.0.1\nsentinel monitor limits 127.0.0.1 {} 1\n\
                 sentinel down-after-milliseconds limits 500\nsentinel failover-timeout limits 2000\n",
                primary.port()
            ),
        );
        let mut command = Command::new("redis-sentinel");
        command.arg(config);
        let sentinel = Process::start(&command, dir.path());
        let watched = Watched { servers: [primary, replica], port, _sentinel: sentinel, _dir: dir };
        let ready = || {
            let known = watched.ask(&["SENTINEL", "REPLICAS", "limits"]);
            known.contains(&watched.servers[1].port().to_string()) && !known.contains("err-")
        };
        assert!(eventually(ready), "the Sentinel knows no replica");
        watched
    }

    /// The Sentinel's address.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Both servers; the first one was the primary at the beginning.
    pub fn servers(&mut self) -> &mut [Redis; 2] {
        &mut self.servers
    }

    /// The port of the server that is the primary now.
    #[must_use]
    pub fn primary(&self) -> u16 {
        let told = self.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "limits"]);
        told.lines().last().and_then(|port| port.parse().ok()).unwrap_or_default()
    }

    fn ask(&self, arguments: &[&str]) -> String {
        ask(&["-p", &self.port.to_string()], arguments)
    }
}
