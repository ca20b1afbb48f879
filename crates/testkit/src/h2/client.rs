//! A client of HTTP/2.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{Block, Frame, GoAway, H2Reply, Peer, code, setting};
use crate::{Client, TlsClient};

/// What a client's first bytes must be (RFC 9113 section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A client's side of a connection.
pub type H2Client = Peer<Client>;

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// A whole reply.
    Reply(Box<H2Reply>),
    /// The stream was reset with this code, before the reply was whole.
    Reset(u32),
    /// The connection ended behind this `GOAWAY`.
    GoneAway(GoAway),
    /// The connection ended without a word.
    Closed,
    /// Nothing came in time, or what came broke the standard.
    Failed(io::Error),
}

impl H2Client {
    /// Connects over TCP with prior knowledge and exchanges settings.
    ///
    /// # Panics
    /// Nobody speaks HTTP/2 there.
    #[must_use]
    pub fn connect(address: SocketAddr) -> H2Client {
        H2Client::with_settings(address, &[])
    }

    /// The same with settings of its own. They hold when this returns.
    ///
    /// # Panics
    /// Nobody speaks HTTP/2 there.
    #[must_use]
    pub fn with_settings(address: SocketAddr, settings: &[(u16, u32)]) -> H2Client {
        H2Client::begun(Client::connect(address), settings)
    }

    /// Connects over TLS, offers `h2` alone and exchanges settings.
    ///
    /// # Panics
    /// Nobody speaks HTTP/2 there.
    #[must_use]
    pub fn tls(address: SocketAddr, tls: &TlsClient) -> H2Client {
        let mut client = Client::tls(address, &tls.offering(&["h2"])).expect("a handshake");
        assert_eq!(client.tls_session().alpn_protocol(), Some(&b"h2"[..]));
        H2Client::begun(client, &[])
    }

    /// Connects over TCP and sends nothing yet.
    ///
    /// # Panics
    /// Nobody listens there.
    #[must_use]
    pub fn silent(address: SocketAddr) -> H2Client {
        H2Client::over(Client::connect(address))
    }

    /// Goes on from whatever was sent on a connection.
    #[must_use]
    pub fn over(client: Client) -> H2Client {
        Peer::fresh(client, 1)
    }

    fn begun(client: Client, settings: &[(u16, u32)]) -> H2Client {
        let mut peer = Peer::fresh(client, 1);
        peer.send(PREFACE);
        peer.announce(settings);
        // One of the first is never empty, so that its acknowledgement can be told from none.
        peer.announced.push((setting::ENABLE_PUSH, 0));
        let greeted = peer.read_until(|peer| {
            let greeted = peer.announced.is_empty() && peer.greeted;
            greeted.then_some(())
        });
        greeted.expect("settings").expect("settings before the end");
        peer
    }

    /// The id of the next stream.
    pub fn stream(&mut self) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        stream
    }

    /// Sends a request without content and gives its stream.
    ///
    /// # Panics
    /// The connection is dead.
    pub fn request(&mut self, block: &Block) -> u32 {
        let stream = self.stream();
        self.send(Frame::headers(stream, block).ending());
        stream
    }

    /// Sends a request's head, whose content is to follow, and gives its stream.
    ///
    /// # Panics
    /// The connection is dead.
    pub fn begin(&mut self, block: &Block) -> u32 {
        let stream = self.stream();
        self.send(Frame::headers(stream, block));
        stream
    }

    /// Waits for what becomes of a stream.
    pub fn outcome(&mut self, stream: u32) -> Outcome {
        let settled = self.read_until(|peer| {
            let exchange = peer.exchange(stream);
            match exchange.reset {
                _ if exchange.ended => {
                    Some(H2Reply::of(exchange).map(|r| Outcome::Reply(Box::new(r))))
                }
                Some(code) => Some(Ok(Outcome::Reset(code))),
                None => None,
            }
        });
        match settled.and_then(Option::transpose) {
            Ok(Some(outcome)) => outcome,
            Ok(None) => self.goaway.clone().map_or(Outcome::Closed, Outcome::GoneAway),
            Err(error) if ends(&error) => {
                self.goaway.clone().map_or(Outcome::Closed, Outcome::GoneAway)
            }
            Err(error) => Outcome::Failed(error),
        }
    }

    /// Waits for a reply.
    ///
    /// # Panics
    /// There is none, or it is malformed.
    pub fn reply(&mut self, stream: u32) -> H2Reply {
        match self.outcome(stream) {
            Outcome::Reply(reply) => *reply,
            other => panic!("no reply on {stream}: {other}"),
        }
    }

    /// Waits for the head of a final reply.
    ///
    /// # Panics
    /// There is none.
    pub fn reply_head(&mut self, stream: u32) -> u16 {
        let head = self.read_until(|peer| {
            let exchange = peer.exchange(stream);
            let mut statuses =
                exchange.sections.iter().filter_map(|section| section.one(":status"));
            let last = statuses.next_back().filter(|status| !status.starts_with('1'));
            last.map(|status| status.parse().expect("a status"))
        });
        head.expect("a head").expect("a head before the end")
    }

    /// Sends a request without content and waits for its reply.
    ///
    /// # Panics
    /// There is none, or it is malformed.
    pub fn ask(&mut self, block: &Block) -> H2Reply {
        let stream = self.request(block);
        self.reply(stream)
    }

    /// Asks for a path of `a.example`.
    ///
    /// # Panics
    /// There is no reply, or it is malformed.
    pub fn get(&mut self, path: &str) -> H2Reply {
        self.ask(&Block::get(path))
    }

    /// Waits until the peer has taken all that was sent before.
    ///
    /// # Errors
    /// The connection ended.
    pub fn barrier(&mut self) -> io::Result<()> {
        let count = self.pongs.len();
        self.try_send(Frame::ping(*b"barrier."))?;
        let answered = self.read_until(|peer| (peer.pongs.len() > count).then_some(()))?;
        answered.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Waits for the connection's end: the last `GOAWAY`, if one came.
    ///
    /// # Errors
    /// It does not end in time, or what came broke the standard.
    pub fn end_of_connection(&mut self) -> io::Result<Option<GoAway>> {
        match self.read_until(|_| None::<()>) {
            Ok(_) => Ok(self.goaway.clone()),
            Err(error) if ends(&error) => Ok(self.goaway.clone()),
            Err(error) => Err(error),
        }
    }

    /// The connection below.
    pub fn connection(&mut self) -> &mut Client {
        &mut self.wire
    }
}

/// Whether this is the way that a connection ends.
fn ends(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Reply(reply) => write!(f, "{} with {:?}", reply.status, reply.text()),
            Outcome::Reset(reset) => write!(f, "RST_STREAM {}", code::name(*reset)),
            Outcome::GoneAway(goaway) => {
                write!(f, "GOAWAY {} last={} and the end", code::name(goaway.code), goaway.last)
            }
            Outcome::Closed => f.write_str("the end without a word"),
            Outcome::Failed(error) => write!(f, "{error}"),
        }
    }
}

impl TlsClient {
    /// The same, offering these protocols.
    #[must_use]
    pub fn offering(&self, protocols: &[&str]) -> TlsClient {
        let mut config = (*self.config).clone();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        TlsClient { config: Arc::new(config), name: self.name.clone() }
    }
}
