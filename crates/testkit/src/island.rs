//! Servers in a network of their own, joined to the tests' by one cable that can be cut. What is sent
//! over a cable that is cut gets lost without a word, as where a machine or a switch has failed.
//!
//! A network belongs to its server's process: when that ends, whatever way, both are gone.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::{Gateway, Starting, eventually};

/// The port of every server: nobody else is in its network.
const PORT: u16 = 8000;
/// Addresses that no network uses (RFC 2544): 198.18.0.0/15, four for each cable.
const ADDRESSES: u32 = 0xC612_0000;
const CABLES: u32 = 1 << 15;

/// Whether this process may make networks. If not, the test is skipped, or fails if the peers must
/// be there.
///
/// # Panics
/// It may not and `PORTCULLIS_PEERS` is `required`.
#[must_use]
pub fn networks_can_be_made() -> bool {
    // In a network of its own, where it disturbs nobody.
    let probe = "ip link add name a type veth peer name b && ip link set dev a up";
    let made = Command::new("unshare")
        .args(["--net", "--", "sh", "-c", probe])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if made.is_ok_and(|status| status.success()) {
        return true;
    }
    let required = env::var_os("PORTCULLIS_PEERS").is_some_and(|value| value == "required");
    assert!(!required, "no networks can be made: that takes root, util-linux and iproute2");
    #[expect(clippy::print_stdout, reason = "who looks at the tests is to know")]
    {
        println!("skipped: no networks can be made: that takes root, util-linux and iproute2");
    }
    false
}

/// A server, which is a gateway that answers itself, in a network of its own.
#[derive(Debug)]
pub struct Island {
    server: Gateway,
    address: SocketAddr,
}

impl Island {
    /// A server whose routes these are, as the configuration has them.
    ///
    /// # Panics
    /// It or its network cannot be made.
    #[must_use]
    pub fn start(routes: &impl Display) -> Island {
        let config =
            format!("listeners: {{ web: {{ address: \"0.0.0.0:{PORT}\" }} }}\nroutes: {routes}\n");
        let server = Starting::new(&config).through(["unshare", "--net", "--"]).start();
        let (cable, number) = (format!("pc{}", server.pid()), server.pid() % CABLES);
        let [ours, theirs] = [1, 2].map(|end| Ipv4Addr::from(ADDRESSES + 4 * number + end));
        let pid = server.pid().to_string();
        let island = Island { address: SocketAddr::from((theirs, PORT)), server };
        assert_ne!(network("self"), network(&pid), "a network of its own");
        let inner = ["type", "veth", "peer", "name", "shore", "netns", &pid];
        ip(&[&["link", "add", "name", &cable], &inner[..]].concat());
        ip(&["address", "add", &format!("{ours}/30"), "dev", &cable]);
        ip(&["link", "set", "dev", &cable, "up"]);
        island.ip(&["address", "add", &format!("{theirs}/30"), "dev", "shore"]);
        island.join();
        island
    }

    /// Where it is, as seen from here.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its server.
    #[must_use]
    pub fn server(&self) -> &Gateway {
        &self.server
    }

    /// Cuts it off: from now on nothing arrives, in either direction.
    pub fn cut(&self) {
        self.ip(&["link", "set", "dev", "shore", "down"]);
    }

    /// Joins it to the rest of the world again.
    ///
    /// # Panics
    /// It cannot be reached.
    pub fn join(&self) {
        self.ip(&["link", "set", "dev", "shore", "up"]);
        let reached = eventually(|| std::net::TcpStream::connect(self.address).is_ok());
        assert!(reached, "no way to {}", self.address);
    }

    /// Runs `ip` within its network.
    fn ip(&self, arguments: &[&str]) {
        let pid = self.server.pid().to_string();
        run(Command::new("nsenter").args(["--net", "--target", &pid, "--", "ip"]).args(arguments));
    }
}

fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments));
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("a program");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The network that a process is in.
fn network(process: &str) -> std::path::PathBuf {
    fs::read_link(format!("/proc/{process}/ns/net")).expect("a process and its network")
}
