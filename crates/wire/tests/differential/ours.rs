//! Reads messages by this crate, from a socket as the gateway does.

use std::future::poll_fn;

use portcullis_wire::h1::{Connection, HeadLimits};
use portcullis_wire::{
    BodyLength, Downstream, Fields, Io, ReadError, RequestHead, RequestLine, ResponseHead, Socket,
    Stream, Upstream, Version,
};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use super::seen::{End, Message, Reading, ordered};

const LIMITS: HeadLimits = HeadLimits { target: 8192, fields: 100, section: 32 * 1024 };

/// Reads requests, one after the other.
pub(crate) async fn requests(input: &[u8]) -> Reading {
    let mut downstream = Downstream::H1(Box::new(connect(input).await));
    let mut messages = Vec::new();
    loop {
        match poll_fn(|cx| downstream.poll_ready(cx)).await {
            Ok(true) => {}
            _ => return Reading { messages, cut: None, end: End::Clean },
        }
        let mut head = RequestHead::default();
        let read = poll_fn(|cx| downstream.poll_request(cx, &LIMITS, &mut head)).await;
        if let Err(error) = read {
            return Reading { messages, cut: None, end: end(&error) };
        }
        let query = head.query().map_or(Vec::new(), |query| [b"?", query].concat());
        let parts = [head.method(), b" ", head.authority(), b" ", head.path(), &query];
        let mut message = message(parts.concat(), head.version, &head.fields);
        let content = content(&mut downstream, &mut message).await;
        if let Err(error) = content {
            return Reading { messages, cut: Some(message), end: end(&error) };
        }
        messages.push(message);
        if head.close {
            return Reading { messages, cut: None, end: End::Clean };
        }
    }
}

/// Reads the final reply to `GET`, or to `HEAD`.
pub(crate) async fn reply(input: &[u8], to_head: bool) -> Reading {
    let mut upstream = Upstream::H1(Box::new(connect(input).await));
    let line = RequestLine {
        method: if to_head { b"HEAD" } else { b"GET" },
        path: b"/",
        query: None,
        authority: b"a",
        length: BodyLength::Empty,
        declares_length: false,
        expects_continue: false,
        upgrade: None,
        takes_trailers: false,
    };
    upstream.begin_request(&line).end();
    let mut head = ResponseHead::default();
    while head.status < 200 {
        let read = poll_fn(|cx| upstream.poll_response(cx, &mut head)).await;
        if let Err(error) = read {
            return Reading { messages: Vec::new(), cut: None, end: end(&error) };
        }
    }
    let mut message = message(head.status.to_string().into(), head.version, &head.fields);
    match content(&mut upstream, &mut message).await {
        Ok(()) => Reading { messages: vec![message], cut: None, end: End::Clean },
        Err(error) => Reading { messages: Vec::new(), cut: Some(message), end: end(&error) },
    }
}

/// A connection whose peer has sent `input` and ended.
async fn connect(input: &[u8]) -> Connection {
    let (socket, mut peer) = UnixStream::pair().unwrap();
    peer.write_all(input).await.unwrap();
    peer.shutdown().await.unwrap();
    Connection::new(Io::Plain(Socket::Unix(socket)))
}

fn message(line: Vec<u8>, version: Version, fields: &Fields) -> Message {
    let minor = u8::from(version == Version::Http11);
    let fields = ordered(fields.iter().map(|field| (field.name, field.value)));
    Message { line, minor, fields, content: Vec::new(), trailers: Vec::new() }
}

async fn content(stream: &mut impl Stream, message: &mut Message) -> Result<(), ReadError> {
    while poll_fn(|cx| stream.poll_content(cx)).await? {
        let here = stream.content().len();
        message.content.extend_from_slice(stream.content());
        stream.consume(here);
    }
    message.trailers = ordered(stream.trailers().iter().map(|field| (field.name, field.value)));
    Ok(())
}

fn end(error: &ReadError) -> End {
    match error {
        ReadError::Malformed(malformed) => End::Refused(*malformed),
        ReadError::Truncated | ReadError::Io(_) => End::Truncated,
    }
}
