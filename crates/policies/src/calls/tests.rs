use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

/// Calls a server that says `reply` to whatever it is asked, and gives what it was asked.
fn exchange(
    reply: &'static [u8],
    content: Option<(&str, &[u8])>,
) -> (Result<Answered, CallError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url: Url = format!("http://{}/a?b=c", listener.local_addr().unwrap()).parse().unwrap();
    let expected = content.map_or(0, |(_, content)| content.len());
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let end = |request: &[u8]| request.windows(4).position(|four| four == b"\r\n\r\n");
        while end(&request).is_none_or(|end| request.len() < end + 4 + expected) {
            let mut room = [0; 1024];
            let read = socket.read(&mut room).unwrap();
            request.extend_from_slice(&room[..read]);
        }
        let _ = socket.write_all(reply);
        String::from_utf8(request).unwrap()
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let caller = Caller::new(&StoreTls { ca: None, certificate: None }).unwrap();
    let call = Call {
        method: if content.is_some() { "POST" } else { "GET" },
        url: &url,
        fields: &[("accept", "application/json")],
        content,
        most: 16,
        timeout: Duration::from_secs(20),
    };
    let answered = runtime.block_on(caller.call(&call));
    (answered, server.join().unwrap())
}

#[test]
fn a_call_is_a_request_and_its_reply() {
    let reply =
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
    let (answered, request) = exchange(reply, Some(("text/plain", b"x=y")));
    let answered = answered.unwrap();
    assert_eq!((answered.status, &*answered.content), (404, &b"no"[..]));
    assert!(request.starts_with("POST /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
    let lower = request.to_lowercase();
    assert!(lower.contains("\r\ncontent-length: 3\r\n") && lower.ends_with("\r\n\r\nx=y"));
    assert!(lower.contains("\r\ncontent-type: text/plain\r\n") && lower.contains("\r\naccept: "));
}

#[test]
fn a_reply_that_is_none_is_an_error() {
    let (answered, _) =
        exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n12345678901234567", None);
    assert!(matches!(answered, Err(CallError::TooLarge(16))), "{answered:?}");
    for reply in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", b"220 hello\r\n"]
    {
        let (answered, _) = exchange(reply, None);
        assert!(matches!(answered, Err(CallError::Broken(_) | CallError::Lost(_))), "{answered:?}");
    }
}

#[test]
fn nobody_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url: Url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let caller = Caller::new(&StoreTls { ca: None, certificate: None }).unwrap();
    let timeout = Duration::from_secs(20);
    let call = Call { method: "GET", url: &url, fields: &[], content: None, most: 16, timeout };
    let answered = runtime.block_on(caller.call(&call));
    assert!(matches!(answered, Err(CallError::Connect(_))), "{answered:?}");
}
