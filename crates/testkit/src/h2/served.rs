//! An origin of HTTP/2, scripted by its test.

use std::io;

use super::exchange::regular;
use super::{Block, Frame, PREFACE, Peer, setting};
use crate::message::malformed;
use crate::{Fields, Origin, Served};

/// An origin's side of a connection.
pub type H2Served<'a> = Peer<&'a mut Served>;

/// A request as an origin received it.
#[derive(Debug, Clone)]
pub struct H2Request {
    /// Its stream.
    pub stream: u32,
    /// Pseudo-fields and others.
    pub fields: Fields,
    /// Content; empty if the head alone was read.
    pub body: Vec<u8>,
    /// Behind the content.
    pub trailers: Fields,
}

impl H2Request {
    /// The value of the only field of this name; empty if there is none.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields.one(name).unwrap_or_default()
    }

    /// The path with its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.field(":path")
    }
}

impl Origin {
    /// An origin that speaks HTTP/2 with prior knowledge, whose every connection goes as `story`
    /// tells.
    #[must_use]
    pub fn h2(story: impl Fn(&mut H2Served<'_>) + Send + Sync + 'static) -> Origin {
        Origin::h2_with(&[], story)
    }

    /// The same with settings of its own.
    #[must_use]
    pub fn h2_with(
        settings: &[(u16, u32)],
        story: impl Fn(&mut H2Served<'_>) + Send + Sync + 'static,
    ) -> Origin {
        let settings = settings.to_vec();
        Origin::with(move |served| {
            if let Some(mut served) = H2Served::begun(served, &settings) {
                story(&mut served);
            }
        })
    }

    /// Answers every request with 200 and, as text, its fields and content as they came.
    #[must_use]
    pub fn h2_echo() -> Origin {
        Origin::h2(|served| served.echo())
    }
}

impl<'a> H2Served<'a> {
    /// Reads the preface and sends settings; `None` when the peer sends no preface.
    pub fn begun(served: &'a mut Served, settings: &[(u16, u32)]) -> Option<H2Served<'a>> {
        if served.exactly(PREFACE.len()) != PREFACE {
            return None;
        }
        let mut peer = Peer::fresh(served, 2);
        peer.announced = settings.to_vec();
        peer.try_send(Frame::settings(settings)).ok()?;
        // Behind an empty one there would be nothing to wait for.
        peer.announced.push((setting::ENABLE_PUSH, 0));
        Some(peer)
    }

    /// Which connection of the origin this is, from 0 on.
    #[must_use]
    pub fn number(&self) -> usize {
        self.wire.number
    }

    /// The next request with its content; `None` when the peer is gone.
    ///
    /// # Panics
    /// It is malformed.
    pub fn request(&mut self) -> Option<H2Request> {
        self.next_request(true)
    }

    /// The next request's head; its content is in `exchanges` as it comes. `None` when the peer is
    /// gone.
    ///
    /// # Panics
    /// It is malformed.
    pub fn head(&mut self) -> Option<H2Request> {
        self.next_request(false)
    }

    fn next_request(&mut self, whole: bool) -> Option<H2Request> {
        let read = self.read_until(|peer| {
            let ready = peer.exchanges.iter_mut().find(|(_, exchange)| {
                let there = !exchange.sections.is_empty() && (exchange.ended || !whole);
                there && !exchange.taken && exchange.reset.is_none()
            });
            let (stream, exchange) = ready?;
            exchange.taken = true;
            let mut sections = exchange.sections.iter().cloned();
            Some(H2Request {
                stream: *stream,
                fields: sections.next().unwrap_or_default(),
                body: exchange.body.clone(),
                trailers: sections.next().unwrap_or_default(),
            })
        });
        let request = match read {
            Ok(request) => request?,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => panic!("{error}"),
            Err(_) => return None,
        };
        check(&request).unwrap_or_else(|error| panic!("{error}"));
        Some(request)
    }

    /// Waits for the rest of a request whose head was taken; `false` when it was reset or the peer
    /// is gone.
    pub fn wait_for_content(&mut self, stream: u32) -> bool {
        let ended = self.read_until(|peer| {
            let exchange = peer.exchange(stream);
            if exchange.reset.is_some() { Some(false) } else { exchange.ended.then_some(true) }
        });
        matches!(ended, Ok(Some(true)))
    }

    /// Waits until the gateway resets this stream, and gives the code; `None` when it ends the
    /// connection instead.
    pub fn wait_for_reset(&mut self, stream: u32) -> Option<u32> {
        self.read_until(|peer| peer.exchange(stream).reset).ok().flatten()
    }

    /// Waits for the peer's end, whatever else it sends.
    pub fn wait_for_end(&mut self) {
        let _ = self.read_until(|_| None::<()>);
    }

    /// Sends a 200 with this text; `false` when the peer is gone.
    pub fn reply(&mut self, stream: u32, text: &str) -> bool {
        let head = Block::status(200)
            .field("content-type", "text/plain")
            .field("content-length", text.len().to_string());
        self.try_send(Frame::headers(stream, &head)).is_ok()
            && self.send_content(stream, text.as_bytes(), true).is_ok()
    }

    /// Serves as [`Origin::h2_echo`] does until the peer is gone.
    pub fn echo(&mut self) {
        while let Some(request) = self.request() {
            let mut text = String::new();
            for (name, value) in request.fields.0.iter().chain(&request.trailers.0) {
                text.push_str(&format!("{name}: {value}\r\n"));
            }
            text.push_str("\r\n");
            text.push_str(&String::from_utf8_lossy(&request.body));
            self.reply(request.stream, &text);
        }
    }
}

/// What a gateway must never send (RFC 9113 sections 8.2 and 8.3.1).
fn check(request: &H2Request) -> io::Result<()> {
    let fields = &request.fields.0;
    let count = fields.iter().take_while(|(name, _)| name.starts_with(':')).count();
    let (pseudo, others) = fields.split_at(count);
    regular(others)?;
    regular(&request.trailers.0)?;
    let wrong = || malformed(format!("a request's fields {fields:?}"));
    for name in [":method", ":scheme", ":path"] {
        let values: Vec<_> = pseudo.iter().filter(|(n, _)| n == name).collect();
        let connect = request.fields.all(":method") == ["CONNECT"]
            && request.fields.all(":protocol").is_empty();
        if values.len() != usize::from(!connect || name == ":method") {
            return Err(wrong());
        }
        if name == ":path" && values.iter().any(|(_, path)| path.contains([' ', '#'])) {
            return Err(wrong());
        }
    }
    if others.iter().any(|(name, value)| name == "te" && value != "trailers") {
        return Err(wrong());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2::{H2Client, Outcome, code};

    fn client(origin: &Origin) -> H2Client {
        H2Client::connect(origin.address().parse().unwrap())
    }

    #[test]
    fn an_echo_tells_what_it_got() {
        let origin = Origin::h2_echo();
        let mut client = client(&origin);
        let stream = client.begin(&Block::post("/x").indexing("a", "1").huffman("b", "2"));
        client.send_content(stream, &[b'x'; 200_000], false).unwrap();
        client.send(Frame::headers(stream, &Block::new().indexed(62)).ending());
        let reply = client.reply(stream);
        let head = ":method: POST\r\n:scheme: http\r\n:authority: a.example\r\n:path: /x\r\n\
                    a: 1\r\nb: 2\r\na: 1\r\n\r\n";
        assert_eq!(&reply.text()[..head.len()], head);
        assert_eq!(reply.body.len(), head.len() + 200_000);
        assert_eq!(client.get("/").status, 200);
        client.barrier().unwrap();
    }

    #[test]
    fn resets_and_ends_are_told_from_replies() {
        let origin = Origin::h2(|served| {
            let stream = served.request().expect("a request").stream;
            served.send(Frame::reset(stream, code::REFUSED_STREAM));
            served.request();
            served.send(Frame::goaway(1, code::ENHANCE_YOUR_CALM));
        });
        let mut client = client(&origin);
        let first = client.request(&Block::get("/"));
        assert!(matches!(client.outcome(first), Outcome::Reset(code::REFUSED_STREAM)));
        let second = client.request(&Block::get("/"));
        let Outcome::GoneAway(goaway) = client.outcome(second) else { panic!("goes on") };
        assert_eq!((goaway.last, goaway.code), (1, code::ENHANCE_YOUR_CALM));
    }
}
