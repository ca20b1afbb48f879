//! Many clients at once with requests of every shape: each gets the reply to its own request.

use std::thread;

use portcullis_testkit::{Client, Config, Gateway, Origin, Request, Served, chunked};

const CLIENTS: u64 = 16;
const ROUNDS: usize = 60;

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Content that belongs to one request alone.
fn content(name: &str, length: usize) -> Vec<u8> {
    name.bytes().cycle().take(length).collect()
}

/// Answers in a way that the request's path asks for.
fn answer(served: &mut Served) {
    while let Some(request) = served.request() {
        let Request { method, target, body, .. } = request;
        let text = [target.as_bytes(), b" ", &body].concat();
        let length = text.len();
        let shape = target.rsplit('/').next().unwrap_or_default();
        let (head, content) = match shape {
            "chunked" => ("Transfer-Encoding: chunked".to_owned(), chunked(&text, 1 + length / 3)),
            "close" => ("Connection: close".to_owned(), text),
            "hinted" => {
                served.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n");
                (format!("Content-Length: {length}"), text)
            }
            _ => (format!("Content-Length: {length}"), text),
        };
        let content = if method == "HEAD" { &[][..] } else { &content };
        let head = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n");
        if !served.send([head.as_bytes(), content].concat()) || shape == "close" {
            return;
        }
    }
}

/// One request: its bytes, its method, and the content of its reply.
fn request(numbers: &mut Numbers, name: &str) -> (Vec<u8>, &'static str, Vec<u8>) {
    let shape = ["sized", "chunked", "close", "hinted"][numbers.below(4)];
    let target = format!("/{name}/{shape}");
    let method = ["GET", "POST", "PUT", "HEAD"][numbers.below(4)];
    let sent = match method {
        "POST" | "PUT" => content(name, [0, 1, 700, 20_000, 100_000][numbers.below(5)]),
        _ => Vec::new(),
    };
    let (framing, bytes) = match numbers.below(2) {
        _ if matches!(method, "GET" | "HEAD") => (String::new(), Vec::new()),
        0 => (format!("Content-Length: {}\r\n", sent.len()), sent.clone()),
        _ => ("Transfer-Encoding: chunked\r\n".to_owned(), chunked(&sent, 1 + sent.len() / 2)),
    };
    let head = format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\n{framing}\r\n");
    let expected =
        if method == "HEAD" { Vec::new() } else { [target.as_bytes(), b" ", &sent].concat() };
    ([head.as_bytes(), &bytes].concat(), method, expected)
}

/// A client that pipelines a few requests, reads their replies, and so on.
fn client(mut client: Client, number: u64) {
    let mut numbers = Numbers(number);
    for round in 0..ROUNDS {
        let requests: Vec<_> = (0..1 + numbers.below(4))
            .map(|i| request(&mut numbers, &format!("c{number}-r{round}-{i}")))
            .collect();
        let bytes: Vec<u8> = requests.iter().flat_map(|(bytes, ..)| bytes.clone()).collect();
        let sending = client.send_aside(bytes);
        for (bytes, method, expected) in requests {
            let reply = loop {
                let reply = client.try_reply(method).unwrap();
                if reply.status >= 200 {
                    break reply;
                }
            };
            let asked = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
            assert_eq!(reply.status, 200, "{asked}: {}", reply.text());
            assert!(reply.body == expected, "{asked}: {} bytes of another reply", reply.body.len());
        }
        sending.join().unwrap().unwrap();
    }
}

#[test]
fn everybody_gets_the_reply_to_his_own_request() {
    let (a, b) = (Origin::with(answer), Origin::with(answer));
    let gateway = Gateway::start(&Config::before(&a).and(&b).also("workers: 2\naccess_log: off"));
    let clients: Vec<_> = (1..=CLIENTS)
        .map(|number| {
            let connected = gateway.client();
            thread::spawn(move || client(connected, number))
        })
        .collect();
    let failed = clients.into_iter().filter_map(|client| client.join().err()).count();
    assert_eq!(failed, 0, "clients that failed");
    gateway.stop();
}
