//! WebSockets (RFC 6455) over HTTP/2 (RFC 8441): an origin that says everything back, clients that
//! open one after the other without a pause, and one that stays.

use std::net::SocketAddr;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use h2::ext::Protocol;
use http::{Method, Request};

use crate::h2::{Block, Frame, H2Client, Outcome};
use crate::load_http2::exchange;
use crate::{Origin, Served};

/// Their path; everything else is an ordinary request.
const PATH: &str = "/socket";
/// Messages in each that is opened under load.
const MESSAGES: usize = 3;
/// A text message as a client sends it: final, masked with zeros, five bytes.
const MESSAGE: &[u8] = b"\x81\x85\0\0\0\0hello";

impl Origin {
    /// Opens a WebSocket at `/socket` and sends back what comes on it, byte for byte; answers
    /// everything else as [`Origin::echo`] does.
    ///
    /// # Panics
    /// A handshake has no key.
    #[must_use]
    pub fn web_sockets() -> Origin {
        Origin::with(|served| {
            while let Some(request) = served.request() {
                if request.target == PATH {
                    let key = request.fields.one("sec-websocket-key").expect("a key").to_owned();
                    return say_back(served, &key);
                }
                served.reply(&request.target);
            }
        })
    }
}

fn say_back(served: &mut Served, key: &str) {
    let sum = digest(
        &SHA1_FOR_LEGACY_USE_ONLY,
        format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes(),
    );
    served.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        STANDARD.encode(sum)
    ));
    loop {
        let some = served.some();
        if some.is_empty() || !served.send(some) {
            return served.end();
        }
    }
}

/// Opens one, gets its messages back and closes it; what went wrong otherwise.
pub(crate) async fn converse(
    sender: &mut SendRequest<Bytes>,
) -> Result<Result<(), String>, h2::Error> {
    // Whether the server knows how is in its settings, which come before any reply.
    if !sender.is_extended_connect_protocol_enabled()
        && let Err(wrong) = exchange(sender, "http://a.example/").await?
    {
        return Ok(Err(wrong));
    }
    let mut request = Request::new(());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = format!("http://a.example{PATH}").parse().expect("an address");
    request.headers_mut().insert("sec-websocket-version", 13.into());
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    let (reply, mut out) = sender.send_request(request, false)?;
    let reply = reply.await?;
    if reply.status() != 200 {
        return Ok(Err(format!("{} for a WebSocket", reply.status())));
    }
    let mut content = reply.into_body();
    for number in 0..MESSAGES {
        out.send_data(Bytes::from_static(MESSAGE), false)?;
        let mut back = BytesMut::new();
        while back.len() < MESSAGE.len() {
            let Some(bytes) = content.data().await else {
                return Ok(Err(format!("a WebSocket that ends before message {number} is back")));
            };
            let bytes = bytes?;
            content.flow_control().release_capacity(bytes.len())?;
            back.extend_from_slice(&bytes);
        }
        if back != MESSAGE {
            return Ok(Err(format!("message {number} came back as {back:?}")));
        }
    }
    out.send_data(Bytes::new(), true)?;
    // The end may come as an empty frame.
    while let Some(bytes) = content.data().await {
        let bytes = bytes?;
        if !bytes.is_empty() {
            return Ok(Err(format!("{bytes:?} behind the last message")));
        }
    }
    Ok(Ok(()))
}

/// A connection of HTTP/2 with a WebSocket that stays.
#[derive(Debug)]
pub struct WebSocket {
    client: H2Client,
    stream: u32,
    /// Bytes that have come back.
    heard: usize,
}

impl WebSocket {
    /// Opens one.
    ///
    /// # Panics
    /// It is not opened.
    #[must_use]
    pub fn open(address: SocketAddr) -> WebSocket {
        let mut client = H2Client::connect(address);
        let block = Block::request("CONNECT", PATH)
            .field(":protocol", "websocket")
            .field("sec-websocket-version", "13");
        let stream = client.begin(&block);
        assert_eq!(client.reply_head(stream), 200);
        WebSocket { client, stream, heard: 0 }
    }

    /// Sends a message and waits until it is back.
    ///
    /// # Panics
    /// It does not come back as it was.
    pub fn echoes(&mut self) {
        let (stream, from) = (self.stream, self.heard);
        self.heard += MESSAGE.len();
        let goal = self.heard;
        self.client.send(Frame::data(stream, MESSAGE));
        let back = self.client.read_until(|peer| {
            let body = &peer.exchanges.get(&stream)?.body;
            (body.len() >= goal).then(|| body[from..].to_vec())
        });
        assert_eq!(back.expect("a message").expect("a message before the end"), MESSAGE);
    }

    /// Ends it in order.
    ///
    /// # Panics
    /// The other side does not.
    pub fn end(mut self) {
        self.client.send(Frame::data(self.stream, "").ending());
        let _ = self.client.reply(self.stream);
    }

    /// Waits until the other side has ended it, and not in order.
    ///
    /// # Panics
    /// It does not.
    pub fn is_cut(mut self) {
        match self.client.outcome(self.stream) {
            Outcome::Reset(_) | Outcome::GoneAway(_) | Outcome::Closed => {}
            other => panic!("expected a cut, got {other}"),
        }
    }
}
