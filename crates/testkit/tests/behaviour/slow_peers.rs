//! Back-pressure: whoever is slow slows the other side down, and costs a bounded buffer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use portcullis_testkit::{Config, Gate, Gateway, Origin, TempDir};
use serde_json::Value;

const MIB: usize = 1024 * 1024;
/// What socket buffers of the system may take on all the way.
const IN_SOCKETS: usize = 64 * MIB;
/// What the gateway itself may take for one exchange, with room for noise.
const IN_GATEWAY: u64 = 8 * MIB as u64;
const TOTAL: usize = 128 * MIB;

/// Waits until a count stands still.
fn settled(count: impl Fn() -> usize) -> usize {
    let mut last = count();
    let mut still = 0;
    while still < 10 {
        thread::sleep(Duration::from_millis(50));
        let now = count();
        still = if now == last { still + 1 } else { 0 };
        last = now;
    }
    last
}

#[test]
fn a_client_that_does_not_read_stops_the_origin() {
    let sent = Arc::new(AtomicUsize::new(0));
    let origin = Origin::with({
        let sent = sent.clone();
        move |served| {
            if served.request().is_none() {
                return;
            }
            served.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {TOTAL}\r\n\r\n"));
            let piece = vec![b'x'; 64 * 1024];
            while sent.load(Ordering::SeqCst) < TOTAL && served.send(&piece) {
                sent.fetch_add(piece.len(), Ordering::SeqCst);
            }
        }
    });
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.admin("GET", "/livez").status, 200);
    let before = gateway.resident();
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.reader().reply_head("GET").unwrap().status, 200);
    let stalled = settled(|| sent.load(Ordering::SeqCst));
    assert!(stalled < IN_SOCKETS, "{stalled} bytes sent to a client that reads nothing");
    let grown = gateway.resident().saturating_sub(before);
    assert!(grown < IN_GATEWAY, "{grown} bytes more for one slow client");
    // When the client reads on, so the origin writes on.
    let mut read = 0;
    while read < stalled + 4 * MIB {
        read += client.reader().some().unwrap().len();
    }
    assert!(sent.load(Ordering::SeqCst) > stalled);
}

#[test]
fn an_origin_that_does_not_read_stops_the_client() {
    let stalled_long_enough = Gate::new();
    let origin = Origin::with({
        let gate = stalled_long_enough.clone();
        move |served| {
            if served.head().is_some() {
                gate.pass();
                let mut left = TOTAL;
                while left > 0 {
                    let some = served.some().len();
                    if some == 0 {
                        return;
                    }
                    left -= some;
                }
                served.reply("all of it");
            }
        }
    });
    let gateway = Gateway::before(&origin);
    assert_eq!(gateway.admin("GET", "/livez").status, 200);
    let before = gateway.resident();
    let mut client = gateway.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {TOTAL}\r\n\r\n"));
    let sent = Arc::new(AtomicUsize::new(0));
    let sending = thread::spawn({
        let sent = sent.clone();
        let mut stream = client.reader().stream().second_handle();
        move || {
            let piece = vec![b'x'; 64 * 1024];
            while sent.load(Ordering::SeqCst) < TOTAL {
                std::io::Write::write_all(&mut stream, &piece).unwrap();
                sent.fetch_add(piece.len(), Ordering::SeqCst);
            }
        }
    });
    let stalled = settled(|| sent.load(Ordering::SeqCst));
    assert!(stalled < IN_SOCKETS, "{stalled} bytes taken for an origin that reads nothing");
    let grown = gateway.resident().saturating_sub(before);
    assert!(grown < IN_GATEWAY, "{grown} bytes more for one slow origin");
    stalled_long_enough.open();
    assert_eq!(client.reply().text(), "all of it");
    sending.join().unwrap();
}

#[test]
fn a_slow_client_does_not_hold_up_others() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.request() {
            if request.target == "/endless" {
                served.send("HTTP/1.1 200 OK\r\n\r\n");
                while served.send(vec![b'x'; 64 * 1024]) {}
                return;
            }
            served.reply("quick");
        }
    });
    let gateway = Gateway::before(&origin);
    let mut slow = gateway.client();
    slow.send("GET /endless HTTP/1.1\r\nHost: a.example\r\n\r\n");
    slow.reader().reply_head("GET").unwrap();
    let mut quick = gateway.client();
    for _ in 0..100 {
        assert_eq!(quick.get("/").text(), "quick");
    }
}

#[test]
fn a_client_is_not_blamed_for_an_origin_that_reads_slowly() {
    let length = 32 * MIB;
    let origin = Origin::with(move |served| {
        if served.head().is_some() {
            thread::sleep(Duration::from_millis(1500));
            let mut left = length;
            while left > 0 {
                let some = served.some().len();
                if some == 0 {
                    return;
                }
                left -= some;
            }
            served.reply("all of it");
        }
    });
    let strict = "timeouts: { stall: 400ms, min_rate: 1MiB, min_rate_grace: 300ms }";
    let gateway = Gateway::start(&Config::before(&origin).listener(strict));
    let mut client = gateway.client();
    let head = format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {length}\r\n\r\n");
    let sending = client.send_aside([head.into_bytes(), vec![b'x'; length]].concat());
    let reply = client.reply();
    assert_eq!((reply.status, reply.text().as_str()), (200, "all of it"));
    sending.join().unwrap().unwrap();
}

#[test]
fn an_origin_is_not_blamed_for_a_client_that_reads_slowly() {
    let length = 32 * MIB;
    let origin = Origin::with(move |served| {
        if served.request().is_some() {
            served.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
            served.send(vec![b'x'; length]);
            served.wait_for_end();
        }
    });
    let strict = "timeouts: { stall: 400ms, first_byte: 400ms }";
    let gateway = Gateway::start(&Config::before(&origin).service(strict));
    let mut client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.reader().reply_head("GET").unwrap().status, 200);
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(client.exactly(length).unwrap().len(), length);
}

#[test]
fn a_client_that_asks_and_asks_and_does_not_read_is_not_answered_for_ever() {
    let origin = Origin::with(|served| {
        let content = "x".repeat(64 * 1024);
        while served.request().is_some() && served.reply(&content) {}
    });
    let gateway = Gateway::before(&origin);
    let before = gateway.resident();
    let mut client = gateway.client();
    let mut stream = client.reader().stream().second_handle();
    let requests = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".repeat(20_000);
    let sending =
        thread::spawn(move || std::io::Write::write_all(&mut stream, requests.as_bytes()));
    let answered = settled(|| origin.requests().len());
    assert!(answered * 64 * 1024 < IN_SOCKETS, "{answered} requests answered to nobody");
    let grown = gateway.resident().saturating_sub(before);
    assert!(grown < IN_GATEWAY, "{grown} bytes more for one client");
    drop(client);
    gateway.kill();
    let _ = sending.join().unwrap();
}

/// A gateway that answers with a file of so many bytes, and does not wait long for clients.
fn with_a_file(dir: &TempDir, length: usize) -> Gateway {
    let file = dir.write("large.bin", vec![b'x'; length]);
    Gateway::start(&format!(
        "listeners:\n  web: {{ address: \"127.0.0.1:0\", timeouts: {{ stall: 700ms }} }}\n\
         routes:\n  file: {{ reply: {{ status: 200, file: {file:?} }} }}\n"
    ))
}

#[test]
fn a_fixed_reply_is_read_as_slowly_as_one_likes() {
    let (dir, length) = (TempDir::new(), 32 * MIB);
    let gateway = with_a_file(&dir, length);
    let mut client = gateway.client();
    client.send("GET /slow HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.reader().reply_head("GET").unwrap().status, 200);
    // Longer than the stall in all, and never without progress for that long.
    for _ in 0..32 {
        client.exactly(length / 32).unwrap();
        thread::sleep(Duration::from_millis(60));
    }
    let line = gateway.logged_request("/slow");
    assert_eq!((&line["error"], &line["bytes_out"]), (&Value::Null, &length.into()), "{line}");
}

#[test]
fn a_fixed_reply_that_is_not_read_is_cut() {
    let dir = TempDir::new();
    let gateway = with_a_file(&dir, 32 * MIB);
    let mut client = gateway.client();
    client.send("GET /unread HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.reader().reply_head("GET").unwrap().status, 200);
    assert_eq!(gateway.logged_request("/unread")["error"], "client_stalled");
}
