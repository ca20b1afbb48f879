//! Content of any size, both ways, byte for byte.

use portcullis_testkit::{Client, Framing, Gate, Gateway, Origin, Served, chunked};

const MIB: usize = 1024 * 1024;

/// Content in which every stretch looks different, so that a lost or doubled piece shows.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i ^ (i >> 8) ^ (i >> 16)).wrapping_mul(31) as u8).collect()
}

/// Equality without printing megabytes.
fn assert_same(got: &[u8], expected: &[u8]) {
    assert_eq!(got.len(), expected.len());
    let differs = got.iter().zip(expected).position(|(a, b)| a != b);
    assert_eq!(differs, None, "the first byte that differs");
}

/// Answers with the request's content, framed as the path says.
fn mirror(served: &mut Served) {
    while let Some(request) = served.request() {
        let sent = if request.target == "/chunked" {
            served.reply_chunked(&request.body, 10_000)
        } else {
            let length = request.body.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            served.send(head) && served.send(&request.body)
        };
        if !sent {
            return;
        }
    }
}

fn post(client: &mut Client, path: &str, content: &[u8], chunk: Option<usize>) -> Vec<u8> {
    let (framing, bytes) = match chunk {
        Some(size) => ("Transfer-Encoding: chunked".to_owned(), chunked(content, size)),
        None => (format!("Content-Length: {}", content.len()), content.to_vec()),
    };
    let head = format!("POST {path} HTTP/1.1\r\nHost: a.example\r\n{framing}\r\n\r\n");
    let sending = client.send_aside([head.as_bytes(), &bytes].concat());
    let reply = client.reply();
    sending.join().unwrap().unwrap();
    assert_eq!(reply.status, 200);
    reply.body
}

#[test]
fn content_of_every_awkward_size_passes_unchanged() {
    let origin = Origin::with(mirror);
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for length in
        [1, 2, 15, 16, 17, 4095, 4096, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 200_000]
    {
        let content = content(length);
        for path in ["/sized", "/chunked"] {
            for chunk in [None, Some(7777), Some(65_536)] {
                assert_same(&post(&mut client, path, &content, chunk), &content);
            }
        }
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn megabytes_pass_both_ways() {
    let origin = Origin::with(mirror);
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    let content = content(8 * MIB);
    for path in ["/sized", "/chunked"] {
        for chunk in [None, Some(100_000)] {
            assert_same(&post(&mut client, path, &content, chunk), &content);
        }
    }
}

#[test]
fn tiny_chunks_pass_both_ways() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.request() {
            served.reply_chunked(&request.body, 1);
        }
    });
    let gateway = Gateway::before(&origin);
    let content = content(5000);
    assert_same(&post(&mut gateway.client(), "/", &content, Some(1)), &content);
}

#[test]
fn content_flows_both_ways_at_once() {
    // The origin sends each piece back before it reads the next: whoever waits for the whole
    // request before he passes on the reply is stuck here.
    let origin = Origin::with(|served| {
        let Some(request) = served.head() else { return };
        assert_eq!(request.framing, Framing::Length(3 * 1000));
        served.send("HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n");
        for _ in 0..3 {
            let piece = served.exactly(1000);
            served.send(&piece);
        }
        served.wait_for_end();
    });
    let gateway = Gateway::before(&origin);
    let content = content(3000);
    let mut client = gateway.client();
    client.send("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3000\r\n\r\n");
    client.send(&content[..1000]);
    let reply = client.reader().reply_head("POST").unwrap();
    assert_eq!(reply.status, 200);
    assert_same(&client.exactly(1000).unwrap(), &content[..1000]);
    for piece in content[1000..].chunks(1000) {
        client.send(piece);
        assert_same(&client.exactly(1000).unwrap(), piece);
    }
}

#[test]
fn events_arrive_one_by_one() {
    let seen = Gate::new();
    let origin = Origin::with({
        let seen = seen.clone();
        move |served| {
            if served.request().is_none() {
                return;
            }
            served.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
            for i in 0..5 {
                // The next event is sent when the client has seen the one before.
                seen.pass();
                let event = format!("data: {i}\n\n");
                served.send(format!("{:x}\r\n{event}\r\n", event.len()));
            }
            served.send("0\r\n\r\n");
            served.wait_for_end();
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    client.send("GET /events HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let head = client.reader().reply_head("GET").unwrap();
    assert_eq!(head.field("content-type"), Some("text/event-stream"));
    for i in 0..5 {
        seen.open();
        let event = client.reader().chunk().unwrap().unwrap();
        assert_eq!(String::from_utf8(event).unwrap(), format!("data: {i}\n\n"));
    }
    assert_eq!(client.reader().chunk().unwrap(), None);
}

#[test]
fn close_delimited_content_of_megabytes_passes() {
    let sent = content(3 * MIB);
    let origin = Origin::with({
        let sent = sent.clone();
        move |served| {
            if served.request().is_some() {
                served.send("HTTP/1.0 200 OK\r\n\r\n");
                served.send(&sent);
            }
        }
    });
    let gateway = Gateway::before(&origin);
    assert_same(&gateway.get("/").body, &sent);
}
