//! Reads messages by hyper, in memory.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::seen::{End, Fields, Message, Reading, ordered};

/// More than any input and all replies to it.
const ROOM: usize = 1 << 20;

/// Reads requests, one after the other, and answers each with 200.
pub(crate) async fn requests(input: &[u8]) -> Reading {
    let (socket, mut peer) = tokio::io::duplex(ROOM);
    peer.write_all(input).await.unwrap();
    peer.shutdown().await.unwrap();

    let log = Arc::new(Mutex::new((Vec::new(), None)));
    let service = service_fn(|request: Request<Incoming>| {
        let log = Arc::clone(&log);
        async move {
            let (message, end) = read_request(request).await;
            let mut log = log.lock().unwrap();
            log.0.push(message);
            log.1 = end;
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    let served = builder.half_close(true).serve_connection(TokioIo::new(socket), service).await;

    let (mut messages, content_end) = std::mem::take(&mut *log.lock().unwrap());
    match content_end {
        Some(end) => Reading { cut: messages.pop(), messages, end },
        None => {
            Reading { messages, cut: None, end: served.map_or_else(|e| end(&e), |()| End::Clean) }
        }
    }
}

/// Reads the final reply to `GET`, or to `HEAD`.
pub(crate) async fn reply(input: &[u8], to_head: bool) -> Reading {
    let (socket, mut peer) = tokio::io::duplex(ROOM);
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(socket));
    let (mut sender, connection) = handshake.await.unwrap();
    let connection = tokio::spawn(connection);
    let answered = async {
        // A reply before its request would be refused for that.
        let mut request = [0; 1024];
        assert!(peer.read(&mut request).await.unwrap() > 0);
        peer.write_all(input).await.unwrap();
        peer.shutdown().await.unwrap();
    };
    let method = if to_head { "HEAD" } else { "GET" };
    let request = Request::builder().method(method).uri("/").header("host", "a");
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let ((), response) = tokio::join!(answered, sender.send_request(request));
    let reading = match response {
        Err(error) => Reading { messages: Vec::new(), cut: None, end: end(&error) },
        Ok(response) => {
            let (parts, body) = response.into_parts();
            let line = parts.status.as_u16().to_string().into_bytes();
            let (message, content_end) = read(line, parts.version, &parts.headers, body).await;
            match content_end {
                None => Reading { messages: vec![message], cut: None, end: End::Clean },
                Some(end) => Reading { messages: Vec::new(), cut: Some(message), end },
            }
        }
    };
    drop(sender);
    // What comes behind the reply may fail the connection; the reply was read.
    let _ = connection.await.unwrap();
    reading
}

async fn read_request(request: Request<Incoming>) -> (Message, Option<End>) {
    let (parts, body) = request.into_parts();
    let host = parts.headers.get("host").map_or(&b""[..], |value| value.as_bytes());
    let authority = parts.uri.authority().map_or(host, |authority| authority.as_str().as_bytes());
    let path = parts.uri.path().as_bytes();
    let query = parts.uri.query().map_or(String::new(), |query| format!("?{query}"));
    let method = parts.method.as_str().as_bytes();
    let line = [method, b" ", authority, b" ", path, query.as_bytes()].concat();
    read(line, parts.version, &parts.headers, body).await
}

/// Reads the content; and how it ended, unless well.
async fn read(
    line: Vec<u8>,
    version: Version,
    headers: &HeaderMap,
    mut body: Incoming,
) -> (Message, Option<End>) {
    let minor = u8::from(version == Version::HTTP_11);
    let mut message =
        Message { line, minor, fields: fields(headers), content: Vec::new(), trailers: Vec::new() };
    while let Some(frame) = body.frame().await {
        match frame.map(|frame| frame.into_data()) {
            Ok(Ok(data)) => message.content.extend_from_slice(&data),
            Ok(Err(frame)) => {
                message.trailers = frame.trailers_ref().map(fields).unwrap_or_default();
            }
            Err(error) => return (message, Some(end(&error))),
        }
    }
    (message, None)
}

fn fields(headers: &HeaderMap) -> Fields {
    ordered(headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())))
}

fn end(error: &hyper::Error) -> End {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let short = source.is_some_and(|error| error.kind() == io::ErrorKind::UnexpectedEof);
    if error.is_incomplete_message() || short {
        return End::Truncated;
    }
    let why = error.source().map_or(String::new(), |source| format!(": {source}"));
    End::RefusedByHyper(format!("{error}{why}"))
}
