//! The admin listener over real sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::*;

/// Longer than any of these tests should need.
const LONG: Duration = Duration::from_secs(30);

/// A running admin listener.
struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(admin: Admin, limits: Limits) -> Running {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(serve_within(listener, admin, stopping, limits));
        Running { address, stop, task }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends one request that asks for the end of the connection, and reads all that comes.
    async fn exchange(&self, request_line: &str, fields: &str) -> String {
        let mut stream = self.connect().await;
        let head = format!(
            "{request_line} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{fields}\r\n",
            self.address
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }

    async fn stopped(self) {
        self.stop.send(true).unwrap();
        timeout(LONG, self.task).await.unwrap().unwrap();
    }
}

/// What comes until the end of the connection, however it ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    _ = timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("the connection ends");
    String::from_utf8(bytes).unwrap()
}

/// Reads until `end` has come.
async fn until(stream: &mut TcpStream, end: &str) -> io::Result<String> {
    let mut text = String::new();
    let mut chunk = [0; 1024];
    while !text.ends_with(end) {
        let n = timeout(LONG, stream.read(&mut chunk)).await??;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        text.push_str(std::str::from_utf8(&chunk[..n]).unwrap());
    }
    Ok(text)
}

fn admin() -> Admin {
    Admin {
        ready: Arc::new(|| Readiness::Ready),
        metrics: Arc::new(|page| page.push_str("portcullis_x_total 1\n")),
        endpoints: Arc::new(|| "{}\n".to_string()),
        reload: Arc::new(|| Box::pin(async { Ok("{\"revision\":2}\n".to_string()) })),
        upgrade: Arc::new(|| Box::pin(async { Err("it is broken\n".to_string()) })),
    }
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or_default()
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn the_pages_answer_get_and_head() {
    let running = Running::start(admin(), LIMITS).await;
    for (path, text) in [
        ("/livez", "ok\n"),
        ("/readyz", "ready\n"),
        ("/metrics", "portcullis_x_total 1\n"),
        ("/", INDEX),
    ] {
        let get = running.exchange(&format!("GET {path}"), "").await;
        assert_eq!((status(&get), body(&get)), ("200", text), "{path}");
        let head = running.exchange(&format!("HEAD {path}"), "").await;
        assert_eq!((status(&head), body(&head)), ("200", ""), "{path}");
        assert!(head.contains(&format!("content-length: {}\r\n", text.len())), "{head}");
    }
    let metrics = running.exchange("GET /metrics?x=1", "").await;
    assert!(
        metrics.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
        "{metrics}"
    );
    assert!(metrics.contains("cache-control: no-store\r\n"), "{metrics}");
    running.stopped().await;
}

#[tokio::test]
async fn readiness_follows_the_gateway() {
    let ready = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&ready);
    let admin = Admin {
        ready: Arc::new(move || match answers.load(Ordering::SeqCst) {
            true => Readiness::Ready,
            false => Readiness::NotReady("draining".into()),
        }),
        ..admin()
    };
    let running = Running::start(admin, LIMITS).await;
    let before = running.exchange("GET /readyz", "").await;
    assert_eq!((status(&before), body(&before)), ("503", "draining\n"));
    assert_eq!(status(&running.exchange("GET /livez", "").await), "200");
    ready.store(true, Ordering::SeqCst);
    assert_eq!(status(&running.exchange("GET /readyz", "").await), "200");
}

#[tokio::test]
async fn other_methods_and_places_are_problems() {
    let running = Running::start(admin(), LIMITS).await;
    for (line, expected, allow) in [
        ("POST /livez", "405", Some("GET, HEAD")),
        ("OPTIONS /metrics", "405", Some("GET, HEAD")),
        ("GET /reload", "405", Some("POST")),
        ("PUT /reload", "405", Some("POST")),
        ("GET /livez/", "404", None),
        ("GET /admin", "404", None),
        ("OPTIONS *", "404", None),
    ] {
        let answer = running.exchange(line, "").await;
        assert_eq!(status(&answer), expected, "{line}");
        assert!(answer.contains("content-type: application/problem+json\r\n"), "{answer}");
        assert!(body(&answer).contains(&format!("\"status\":{expected},")), "{answer}");
        let field = allow.map(|allow| format!("\r\nallow: {allow}\r\n"));
        assert_eq!(answer.contains("\r\nallow: "), field.is_some(), "{answer}");
        assert!(answer.contains(field.as_deref().unwrap_or_default()), "{answer}");
    }
}

#[tokio::test]
async fn a_reload_tells_its_outcome() {
    let count = Arc::new(AtomicUsize::new(0));
    let calls = Arc::clone(&count);
    let admin = Admin {
        reload: Arc::new(move || {
            let first = calls.fetch_add(1, Ordering::SeqCst) == 0;
            Box::pin(async move {
                if first { Ok("{}".into()) } else { Err("gateway.yaml:3:1: no".into()) }
            })
        }),
        ..admin()
    };
    let running = Running::start(admin, LIMITS).await;
    let applied = running.exchange("POST /reload", "").await;
    assert_eq!((status(&applied), body(&applied)), ("200", "{}"));
    assert!(applied.contains("content-type: application/json\r\n"), "{applied}");
    let refused = running.exchange("POST /reload", "content-length: 3\r\n\r\nabc").await;
    assert_eq!((status(&refused), body(&refused)), ("422", "gateway.yaml:3:1: no"));
    assert!(refused.contains("content-type: text/plain; charset=utf-8\r\n"), "{refused}");

    let browser = running.exchange("POST /reload", "origin: https://evil.example\r\n").await;
    assert_eq!(status(&browser), "403");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_upgrade_is_asked_for_like_a_reload() {
    let running = Running::start(admin(), LIMITS).await;
    let failed = running.exchange("POST /upgrade", "").await;
    assert_eq!((status(&failed), body(&failed)), ("422", "it is broken\n"));
    assert_eq!(status(&running.exchange("GET /upgrade", "").await), "405");
    let browser = running.exchange("POST /upgrade", "sec-fetch-site: none\r\n").await;
    assert_eq!(status(&browser), "403");
}

/// A reload that ends once `go` has a permit, and counts how many run at once and in all.
fn gated(go: &Arc<Semaphore>, at_once: &Arc<AtomicUsize>, ended: &Arc<AtomicUsize>) -> Admin {
    let (go, at_once, ended) = (Arc::clone(go), Arc::clone(at_once), Arc::clone(ended));
    Admin {
        reload: Arc::new(move || {
            let (go, at_once, ended) = (Arc::clone(&go), Arc::clone(&at_once), Arc::clone(&ended));
            assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0, "two reloads at once");
            Box::pin(async move {
                go.acquire().await.unwrap().forget();
                at_once.fetch_sub(1, Ordering::SeqCst);
                ended.fetch_add(1, Ordering::SeqCst);
                Ok("{}".into())
            })
        }),
        ..admin()
    }
}

async fn eventually(counter: &AtomicUsize, value: usize) {
    let reached = async {
        while counter.load(Ordering::SeqCst) != value {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, reached).await.expect("the counter gets there");
}

#[tokio::test]
async fn a_reload_goes_on_without_its_client_and_the_next_waits_for_it() {
    let (go, at_once, ended) = (Arc::new(Semaphore::new(0)), Arc::default(), Arc::default());
    let running = Running::start(gated(&go, &at_once, &ended), LIMITS).await;
    let head =
        format!("POST /reload HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", running.address);
    let mut gone = running.connect().await;
    gone.write_all(head.as_bytes()).await.unwrap();
    eventually(&at_once, 1).await;
    drop(gone);

    let mut second = running.connect().await;
    second.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(status(&running.exchange("GET /livez", "").await), "200");
    go.add_permits(2);
    assert_eq!(status(&rest(&mut second).await), "200");
    assert_eq!(ended.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_slow_head_and_an_idle_connection_are_closed() {
    let limits = Limits { head: Duration::from_millis(50), ..LIMITS };
    let running = Running::start(admin(), limits).await;
    for sent in
        ["", "GET /livez HTTP/1.1\r\nhost: ", "GET /livez HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"]
    {
        let mut stream = running.connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert_eq!(answer.ends_with("ok\n"), sent.ends_with("\r\n\r\n"), "{sent:?}: {answer}");
    }
}

#[tokio::test]
async fn content_that_nobody_asked_for_is_not_read() {
    let running = Running::start(admin(), LIMITS).await;
    let mut stream = running.connect().await;
    let head = "POST /reload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    // The answer comes and the connection ends, though the content has not.
    assert_eq!(status(&rest(&mut stream).await), "200");
}

#[tokio::test]
async fn a_connection_beyond_the_cap_waits_for_a_place() {
    let limits = Limits { connections: 1, ..LIMITS };
    let running = Running::start(admin(), limits).await;
    let mut first = running.connect().await;
    first.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    until(&mut first, "ok\n").await.unwrap();

    let mut second = running.connect().await;
    second.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let early = timeout(Duration::from_millis(50), until(&mut second, "ok\n")).await;
    assert!(early.is_err(), "served beyond the cap");
    drop(first);
    until(&mut second, "ok\n").await.unwrap();
}

#[tokio::test]
async fn an_old_connection_is_asked_to_end() {
    let limits = Limits { age: Duration::from_millis(50), ..LIMITS };
    let running = Running::start(admin(), limits).await;
    let mut stream = running.connect().await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(rest(&mut stream).await.ends_with("ok\n"));
}

#[tokio::test]
async fn stopping_lets_a_request_end_and_takes_no_more() {
    let (go, at_once, ended) = (Arc::new(Semaphore::new(0)), Arc::default(), Arc::default());
    let running = Running::start(gated(&go, &at_once, &ended), LIMITS).await;
    let mut idle = running.connect().await;
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    until(&mut idle, "ok\n").await.unwrap();
    let mut busy = running.connect().await;
    busy.write_all(b"POST /reload HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    eventually(&at_once, 1).await;

    running.stop.send(true).unwrap();
    assert_eq!(rest(&mut idle).await, "", "an idle connection ends at once");
    assert!(TcpStream::connect(running.address).await.is_err());
    go.add_permits(1);
    let answer = rest(&mut busy).await;
    assert_eq!(status(&answer), "200");
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    timeout(LONG, running.task).await.unwrap().unwrap();
}

#[tokio::test]
async fn stopping_does_not_wait_for_ever() {
    let (go, at_once, ended) = (Arc::new(Semaphore::new(0)), Arc::default(), Arc::default());
    let limits = Limits { grace: Duration::from_millis(50), ..LIMITS };
    let running = Running::start(gated(&go, &at_once, &ended), limits).await;
    let mut stuck = running.connect().await;
    stuck.write_all(b"POST /reload HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    eventually(&at_once, 1).await;
    running.stopped().await;
    assert_eq!(rest(&mut stuck).await, "");
}

#[tokio::test]
async fn a_gateway_that_is_gone_stops_the_listener() {
    let running = Running::start(admin(), LIMITS).await;
    drop(running.stop);
    timeout(LONG, running.task).await.unwrap().unwrap();
}
