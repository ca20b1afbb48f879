//! Listening sockets that a process did not open itself: those of the gateway that it takes over
//! from, and those that a service manager keeps open.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;

use portcullis_config::model::Bind;

/// The sockets of one listener, on their way from one process to another.
#[derive(Debug)]
pub struct Handed {
    /// The listener's name, or what the service manager calls it.
    pub name: String,
    /// The address as the giver's configuration has it; `None` from a service manager.
    pub bind: Option<String>,
    /// A service manager has the socket, too, and keeps it open after us.
    pub lent: bool,
    /// The sockets. A TCP listener may have several, between which the kernel chooses.
    pub sockets: Vec<OwnedFd>,
}

impl Handed {
    /// Whether these are TCP sockets of this address.
    #[must_use]
    pub fn is_at(&self, address: SocketAddr) -> bool {
        tcp_address(self) == Some(address)
    }
}

/// What was handed to this process, and who has claimed it.
#[derive(Debug, Default)]
pub(crate) struct Inheritance {
    /// As given; `None` once claimed.
    entries: Vec<Option<Handed>>,
    claimed: BTreeSet<usize>,
}

impl Inheritance {
    pub(crate) fn new(handed: Vec<Handed>) -> Inheritance {
        Inheritance {
            entries: handed.into_iter().map(Some).collect(),
            claimed: BTreeSet::default(),
        }
    }

    /// The sockets for a listener of this name and address, if some were handed over. Nobody else
    /// gets them.
    pub(crate) fn claim(&mut self, name: &str, wanted: &Bind) -> Option<Handed> {
        let rules: [&dyn Fn(&Handed) -> bool; 3] = [
            &|handed| handed.name == name && is_bind(handed, wanted),
            // A listener may have another name by now; port 0 alone says nothing.
            &|handed| {
                !is_any_port(wanted)
                    && (is_bind(handed, wanted)
                        || (handed.bind.is_none() && is_address(handed, wanted)))
            },
            // What the service manager named on purpose.
            &|handed| {
                handed.bind.is_none() && handed.name == name && is_unix(handed) == is_path(wanted)
            },
        ];
        let index = rules.iter().find_map(|rule| {
            self.entries.iter().position(|entry| entry.as_ref().is_some_and(rule))
        })?;
        self.claimed.insert(index);
        self.entries[index].take()
    }

    /// Whether a socket that was handed over, claimed or not, may be what holds an address. Those
    /// that are claimed share theirs with nobody else.
    pub(crate) fn overlaps(&self, wanted: &Bind) -> bool {
        let Bind::Tcp(wanted) = wanted else { return false };
        self.entries.iter().flatten().any(|handed| {
            tcp_address(handed).is_some_and(|held| {
                held.port() == wanted.port()
                    && (held.ip() == wanted.ip()
                        || held.ip().is_unspecified()
                        || wanted.ip().is_unspecified())
            })
        })
    }

    /// Ends the time of claims: closes our copies of what nobody wants. Gives the indices of what
    /// was claimed, and the names of what was not.
    pub(crate) fn settle(&mut self) -> Settled {
        let unclaimed = self.entries.drain(..).flatten().map(|handed| handed.name).collect();
        Settled { claimed: std::mem::take(&mut self.claimed).into_iter().collect(), unclaimed }
    }
}

/// What became of sockets that were handed over.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Indices of those that listeners use.
    pub claimed: Vec<usize>,
    /// Names of those that no listener wants; they are closed here.
    pub unclaimed: Vec<String>,
}

fn is_bind(handed: &Handed, wanted: &Bind) -> bool {
    handed.bind.as_ref().is_some_and(|bind| *bind == wanted.to_string())
}

fn is_address(handed: &Handed, wanted: &Bind) -> bool {
    let Some(socket) = handed.sockets.first() else { return false };
    let Ok(held) = socket2::SockRef::from(socket).local_addr() else { return false };
    match wanted {
        Bind::Tcp(address) => held.as_socket() == Some(*address),
        Bind::Unix(path) => held.as_pathname() == Some(Path::new(path)),
    }
}

fn tcp_address(handed: &Handed) -> Option<SocketAddr> {
    socket2::SockRef::from(handed.sockets.first()?).local_addr().ok()?.as_socket()
}

fn is_unix(handed: &Handed) -> bool {
    tcp_address(handed).is_none()
}

fn is_path(bind: &Bind) -> bool {
    matches!(bind, Bind::Unix(_))
}

fn is_any_port(bind: &Bind) -> bool {
    matches!(bind, Bind::Tcp(address) if address.port() == 0)
}

/// Deals sockets to so many workers. With fewer workers one accepts from several, as connections
/// would wait for ever in a socket that nobody looks at; with more, the last get none.
pub(crate) fn deal<T>(sockets: Vec<T>, workers: usize) -> Vec<Vec<T>> {
    let mut hands: Vec<Vec<T>> = (0..workers).map(|_| Vec::new()).collect();
    for (number, socket) in sockets.into_iter().enumerate() {
        hands[number % workers].push(socket);
    }
    hands
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn tcp(name: &str, bind: Option<&str>) -> (Handed, Bind) {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let bind = bind.map(|bind| bind.replace('*', &address.port().to_string()));
        let handed =
            Handed { name: name.to_owned(), bind, lent: false, sockets: vec![socket.into()] };
        (handed, Bind::Tcp(address))
    }

    fn any() -> Bind {
        Bind::Tcp("127.0.0.1:0".parse().unwrap())
    }

    #[test]
    fn a_listener_gets_what_has_its_name_and_address_first() {
        let (a, _) = tcp("a", Some("127.0.0.1:0"));
        let (b, _) = tcp("b", Some("127.0.0.1:0"));
        let mut inheritance = Inheritance::new(vec![a, b]);
        assert_eq!(inheritance.claim("b", &any()).unwrap().name, "b");
        assert!(inheritance.claim("b", &any()).is_none(), "only once");
        assert!(inheritance.claim("c", &any()).is_none(), "port 0 is no address");
        let settled = Settled { claimed: vec![1], unclaimed: vec!["a".to_owned()] };
        assert_eq!(inheritance.settle(), settled);
    }

    #[test]
    fn a_renamed_listener_keeps_its_socket() {
        let (old, bind) = tcp("old", Some("127.0.0.1:*"));
        let mut inheritance = Inheritance::new(vec![old]);
        assert!(inheritance.overlaps(&bind));
        assert!(inheritance.claim("new", &bind).is_some());
    }

    #[test]
    fn what_a_service_manager_passes_is_found_by_address_or_by_name() {
        let (unnamed, bind) = tcp("unknown", None);
        let (named, _) = tcp("web", None);
        let mut inheritance = Inheritance::new(vec![named, unnamed]);
        assert_eq!(inheritance.claim("web", &bind).unwrap().name, "unknown");
        let path = Bind::Unix("/nowhere".into());
        assert!(inheritance.claim("web", &path).is_none(), "TCP in the place of a path");
        assert_eq!(inheritance.claim("web", &any()).unwrap().name, "web");
    }

    #[test]
    fn a_unix_socket_is_found_by_its_path() {
        let path = std::env::temp_dir().join(format!("portcullis-claim-{}", std::process::id()));
        let socket = UnixListener::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let sockets = vec![socket.into()];
        let handed = Handed { name: "x".to_owned(), bind: None, lent: true, sockets };
        let mut inheritance = Inheritance::new(vec![handed]);
        assert!(inheritance.claim("web", &Bind::Unix(path)).is_some());
    }

    #[test]
    fn overlaps_know_wildcards_and_ports() {
        let (handed, bind) = tcp("a", Some("127.0.0.1:*"));
        let Bind::Tcp(address) = bind else { unreachable!() };
        let inheritance = Inheritance::new(vec![handed]);
        let at = |ip: &str, port| Bind::Tcp(SocketAddr::new(ip.parse().unwrap(), port));
        assert!(inheritance.overlaps(&at("0.0.0.0", address.port())));
        assert!(!inheritance.overlaps(&at("127.0.0.2", address.port())));
        assert!(!inheritance.overlaps(&at("127.0.0.1", address.port() ^ 1)));
    }

    #[test]
    fn every_socket_has_a_worker() {
        assert_eq!(deal(vec![1, 2, 3, 4, 5], 2), [vec![1, 3, 5], vec![2, 4]]);
        assert_eq!(deal(vec![1], 3), [vec![1], vec![], vec![]]);
    }
}
