//! Clients that take too long.

use std::thread;
use std::time::Duration;

use portcullis_testkit::{Client, Config, Gateway, Origin, eventually};

fn impatient(origin: &Origin, timeouts: &str) -> Gateway {
    Gateway::start(&Config::before(origin).listener(&format!("timeouts: {timeouts}")))
}

#[test]
fn a_head_that_does_not_end_is_408() {
    let origin = Origin::echo();
    let gateway = impatient(&origin, "{ head: 300ms }");
    for part in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a.example\r\nX-A: b"] {
        let mut client = gateway.client();
        let reply = client.ask(part);
        assert_eq!(reply.status, 408, "{part:?}");
        assert!(reply.closes() && client.is_closed());
    }
    assert_eq!(gateway.metric("portcullis_failures_total", "head_timeout"), 3.0);
}

#[test]
fn a_head_that_trickles_is_408_all_the_same() {
    let origin = Origin::echo();
    let gateway = impatient(&origin, "{ head: 400ms }");
    let mut client = gateway.client();
    let mut stream = client.reader().stream().second_handle();
    let trickle = thread::spawn(move || {
        // Each byte is progress, and none of it buys time.
        let forever = b"GET / HTTP/1.1\r\nX-A: ".iter().chain(std::iter::repeat(&b'b'));
        for byte in forever {
            if std::io::Write::write_all(&mut stream, &[*byte]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(client.reply().status, 408);
    drop(client);
    trickle.join().unwrap();
}

#[test]
fn late_bytes_behind_a_408_are_no_request() {
    let origin = Origin::echo();
    let gateway = impatient(&origin, "{ head: 200ms }");
    let mut client = gateway.client();
    assert_eq!(client.ask("GET /smuggled HTTP/1.1\r\nHost: a.example\r\n").status, 408);
    let _ = client.try_send("\r\nGET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert!(client.is_closed());
    assert_eq!(origin.connections(), 0);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let origin = Origin::echo();
    let gateway = impatient(&origin, "{ idle: 300ms }");
    let mut used = gateway.client();
    assert_eq!(used.get("/").status, 200);
    assert!(used.is_closed());
    let mut unused = gateway.client();
    assert!(unused.is_closed());
}

#[test]
fn an_upload_below_the_rate_is_408() {
    let origin = Origin::echo();
    let gateway = impatient(&origin, "{ min_rate: 10KiB, min_rate_grace: 300ms }");
    let mut client = gateway.client();
    client.send("POST /slow HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000\r\n\r\n");
    let mut stream = client.reader().stream().second_handle();
    let trickle = thread::spawn(move || {
        while std::io::Write::write_all(&mut stream, b"x").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    let reply = client.reply();
    assert_eq!(reply.status, 408);
    assert!(reply.closes());
    drop(client);
    trickle.join().unwrap();
    assert!(!origin.bytes_at_the_end().is_empty(), "it was on its way, and never got there");
    assert_eq!(gateway.logged_request("/slow")["error"], "body_timeout");
}

#[test]
fn an_upload_that_stops_is_408() {
    let origin = Origin::echo();
    let gateway = impatient(&origin, "{ stall: 300ms }");
    let mut client = gateway.client();
    client.send("POST /stopped HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100\r\n\r\nhalf");
    assert_eq!(client.reply().status, 408);
    assert!(client.is_closed());
}

#[test]
fn a_long_upload_that_keeps_the_rate_passes() {
    let origin = Origin::echo();
    // Far longer than the grace, and than the time that a head may take; always above the rate.
    let gateway = impatient(&origin, "{ head: 300ms, min_rate: 100B, min_rate_grace: 200ms }");
    let mut client = gateway.client();
    client.send("POST /long HTTP/1.1\r\nHost: a.example\r\nContent-Length: 40000\r\n\r\n");
    for _ in 0..40 {
        client.send([b'x'; 1000]);
        thread::sleep(Duration::from_millis(25));
    }
    assert_eq!(client.reply().status, 200);
    assert_eq!(origin.last_request().body.len(), 40_000);
}

#[test]
fn a_client_that_stops_reading_is_cut_off() {
    let origin = Origin::with(|served| {
        if served.request().is_some() {
            served.send("HTTP/1.1 200 OK\r\n\r\n");
            while served.send([b'x'; 64 * 1024]) {}
        }
    });
    let gateway = impatient(&origin, "{ stall: 500ms }");
    let mut client = gateway.client();
    client.send("GET /unread HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.reader().reply_head("GET").unwrap().status, 200);
    assert!(eventually(|| origin.open_connections() == 0), "the origin waits for nobody");
    assert_eq!(gateway.logged_request("/unread")["error"], "client_stalled");
}

#[test]
fn a_client_that_reads_slowly_is_served_to_the_end() {
    let length = 16 * 1024 * 1024;
    let origin = Origin::with(move |served| {
        if served.request().is_some() {
            served.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"));
            served.send(vec![b'x'; length]);
            served.wait_for_end();
        }
    });
    let gateway = impatient(&origin, "{ stall: 700ms }");
    let mut client: Client = gateway.client();
    client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.reader().reply_head("GET").unwrap().status, 200);
    // Longer than the stall in all, and never without progress for that long.
    for _ in 0..32 {
        client.exactly(length / 32).unwrap();
        thread::sleep(Duration::from_millis(50));
    }
}
