//! Services of one's own that are asked whether requests may pass: what they are told, what becomes
//! of what they say, and of those that say nothing, too much or something else.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use portcullis_testkit::{Client, Config, Gate, Gateway, Origin, Reply, eventually};

/// One that answers the same to every question until told otherwise.
struct Authorizer {
    origin: Origin,
    says: Arc<Mutex<String>>,
}

impl Authorizer {
    fn start(says: &str) -> Authorizer {
        let says = Arc::new(Mutex::new(says.to_owned()));
        let told = Arc::clone(&says);
        let origin = Origin::with(move |served| {
            while served.request().is_some() {
                let says = told.lock().unwrap().clone();
                if !served.send(says) {
                    return;
                }
            }
        });
        Authorizer { origin, says }
    }

    fn says(&self, reply: &str) {
        *self.says.lock().unwrap() = reply.to_owned();
    }

    fn asked(&self) -> usize {
        self.origin.requests().len()
    }
}

const YES: &str = "HTTP/1.1 200 OK\r\nX-User: ann\r\nX-Secret: s\r\nContent-Length: 2\r\n\r\nok";
const NO: &str =
    "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nno";

fn config(origin: &Origin, authorizer: &str, more: &str) -> Config {
    let rule =
        format!("ext_authz: {{ url: \"http://{authorizer}/check?a=b\", timeout: 5s{more} }}");
    Config::before(origin).route(&format!("policies: [{rule}]"))
}

fn gateway(origin: &Origin, authorizer: &Origin, more: &str) -> Gateway {
    Gateway::start(&config(origin, &authorizer.address(), more).also("workers: 1"))
}

fn ask(client: &mut Client, fields: &str) -> Reply {
    client.ask(format!("GET /x?y=z HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n"))
}

fn results(gateway: &Gateway) -> [f64; 5] {
    ["allowed", "denied", "failed", "full", "remembered"].map(|result| {
        let labels = format!("result=\"{result}\"");
        gateway.metric("portcullis_ext_authz_requests_total", &labels)
    })
}

#[test]
fn it_is_told_what_is_asked_for_and_the_service_what_it_says() {
    let (origin, authorizer) = (Origin::echo(), Authorizer::start(YES));
    let gateway = gateway(&origin, &authorizer.origin, ", to_upstream: [x-user, x-none]");
    let mut client = gateway.client();
    let fields = "Authorization: Bearer t\r\nCookie: a=b\r\nX-Mine: 1\r\nX-Forwarded-Method: PUT\r\n\
                  X-Forwarded-Uri: /free\r\nX-Forwarded-For: 192.0.2.9\r\n";
    assert_eq!(
        client
            .ask(format!(
                "POST /a/../x?y=z HTTP/1.1\r\nHost: a.example\r\n{fields}Content-Length: 2\r\n\r\nhi"
            ))
            .status,
        200
    );
    let asked = authorizer.origin.last_request();
    let head = String::from_utf8_lossy(&asked.head).into_owned();
    assert!(head.starts_with("GET /check?a=b HTTP/1.1\r\n"), "{head}");
    for (name, value) in [
        ("x-forwarded-method", Some("POST")),
        ("x-forwarded-uri", Some("/x?y=z")),
        ("x-forwarded-host", Some("a.example")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("authorization", Some("Bearer t")),
        ("cookie", Some("a=b")),
        ("x-mine", None),
        ("content-length", None),
    ] {
        assert_eq!(asked.field(name), value, "{name}: {head}");
        assert!(head.to_lowercase().matches(&format!("\r\n{name}: ")).count() < 2, "{head}");
    }
    let served = origin.last_request();
    assert_eq!((served.field("x-user"), served.field("x-secret")), (Some("ann"), None));
    assert_eq!(served.body, b"hi");
    assert_eq!(results(&gateway), [1.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn what_it_says_cannot_be_said_by_clients() {
    let (origin, authorizer) = (Origin::echo(), Authorizer::start(YES));
    let gateway = gateway(&origin, &authorizer.origin, ", to_upstream: [x-user, x-role]");
    let mut client = gateway.client();
    let lies = "X-User: root\r\nx-user: root\r\nX_User: root\r\nX-Role: admin\r\nx_role: admin\r\n";
    assert_eq!(ask(&mut client, lies).status, 200);
    let head = String::from_utf8_lossy(&origin.last_request().head).to_lowercase();
    assert_eq!(head.matches("x-user").count(), 1, "{head}");
    assert!(
        !head.contains("root") && !head.contains("admin") && !head.contains("x_user"),
        "{head}"
    );
    // Nor can they have it taken out on the way.
    for connection in ["X-User", "keep-alive, x-role", "x_user"] {
        let refused = ask(&mut client, &format!("Connection: {connection}\r\n"));
        assert_eq!(refused.status, 403, "{connection}");
    }
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn whoever_may_not_is_told_what_it_says() {
    let no = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nSet-Cookie: a=1\r\n\
              Set-Cookie: b=2\r\nX-Secret: s\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nlogin";
    let (origin, authorizer) = (Origin::echo(), Authorizer::start(no));
    let gateway = gateway(&origin, &authorizer.origin, "");
    let mut client = gateway.client();
    let refused = ask(&mut client, "");
    assert_eq!((refused.status, &*refused.text()), (401, "login"));
    assert_eq!(refused.field("www-authenticate"), Some("Basic realm=\"x\""));
    assert_eq!(refused.field("content-type"), Some("text/html"));
    assert!(refused.field("x-secret").is_none() && !refused.closes());
    assert_eq!(refused.fields.all("set-cookie"), ["a=1", "b=2"]);

    // A redirect is for the client to follow.
    authorizer.says(
        "HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\nContent-Length: 0\r\n\r\n",
    );
    let sent = ask(&mut client, "");
    assert_eq!((sent.status, sent.field("location")), (302, Some("https://login.example/")));

    // A call of gRPC is told in its own terms.
    authorizer.says(NO);
    let call = ask(&mut client, "Content-Type: application/grpc\r\n");
    assert_eq!((call.status, call.field("grpc-status")), (200, Some("7")));
    assert!(origin.requests().is_empty());

    assert!(eventually(|| gateway.logged_requests().len() == 3));
    let line = &gateway.logged_requests()[0];
    assert_eq!((&line["policy"], &line["status"]), (&"ext_authz".into(), &401.into()), "{line}");
    let refused = gateway.metric("portcullis_policy_requests_total", "outcome=\"refused\"");
    assert!(refused >= 3.0, "{refused}");
    assert_eq!(results(&gateway), [0.0, 3.0, 0.0, 0.0, 0.0]);
}

#[test]
fn without_an_answer_nobody_passes_unless_that_is_wanted() {
    let huge = format!("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n{}", "x".repeat(70_000));
    let fields =
        format!("HTTP/1.1 200 OK\r\nX-A: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(1 << 20));
    let answers = [
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX-User : ann\r\nContent-Length: 0\r\n\r\n",
        "220 hello\r\n",
        &huge,
        &fields,
    ];
    for (open, status) in [(false, 503), (true, 200)] {
        let (origin, authorizer) = (Origin::echo(), Authorizer::start(""));
        let more = if open { ", on_failure: open, to_upstream: x-user" } else { "" };
        let gateway = gateway(&origin, &authorizer.origin, more);
        let mut client = gateway.client();
        for says in answers {
            authorizer.says(says);
            let answered = ask(&mut client, "X-User: root\r\n");
            assert_eq!(answered.status, status, "{}", &says[..says.len().min(60)]);
            if open {
                assert_eq!(origin.last_request().field("x-user"), None);
            } else {
                assert!(answered.text().contains("\"code\":\"auth_unavailable\""));
            }
        }
        assert_eq!(origin.requests().len(), if open { answers.len() } else { 0 });
        assert_eq!(results(&gateway), [0.0, 0.0, answers.len() as f64, 0.0, 0.0]);
    }
}

#[test]
fn whoever_is_gone_or_slow_gives_no_answer() {
    let gone = Origin::echo();
    let address = gone.address();
    drop(gone);
    let origin = Origin::echo();
    let gateway = Gateway::start(&config(&origin, &address, ""));
    assert_eq!(gateway.get("/x").status, 503);

    let gate = Gate::new();
    let held = gate.clone();
    let slow = Origin::with(move |served| {
        if served.request().is_some() {
            held.pass();
        }
    });
    let rule = format!("ext_authz: {{ url: \"http://{}/\", timeout: 50ms }}", slow.address());
    let gateway = Gateway::start(&Config::before(&origin).route(&format!("policies: [{rule}]")));
    assert_eq!(gateway.get("/x").status, 503);
    gate.open();
    assert!(origin.requests().is_empty());
}

#[test]
fn calls_under_way_are_bounded() {
    let gate = Gate::new();
    let held = gate.clone();
    let is_first = AtomicBool::new(true);
    let slow = Origin::with(move |served| {
        if served.request().is_some() {
            if is_first.swap(false, Ordering::Relaxed) {
                held.pass();
            }
            served.send(YES);
        }
    });
    let origin = Origin::echo();
    let gateway = gateway(&origin, &slow, ", max_calls: 1");
    let mut first = gateway.client();
    first.send("GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert!(eventually(|| slow.requests().len() == 1));
    assert_eq!(gateway.get("/x").status, 503);
    assert_eq!(results(&gateway)[3], 1.0);
    gate.open();
    assert_eq!(first.reply().status, 200);
    // The place is free again.
    assert!(eventually(|| gateway.get("/x").status == 200));
}

#[test]
fn answers_are_remembered_for_the_same_question_alone() {
    let (origin, authorizer) = (Origin::echo(), Authorizer::start(YES));
    let more = ", to_upstream: x-user, cache: { ttl: 1h, regardless_of: uri }";
    let gateway = gateway(&origin, &authorizer.origin, more);
    let mut client = gateway.client();
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    for _ in 0..3 {
        assert_eq!(ask(&mut client, &bearer("a")).status, 200);
        assert_eq!(origin.last_request().field("x-user"), Some("ann"));
    }
    assert_eq!(
        client.ask(format!("GET /other HTTP/1.1\r\nHost: a.example\r\n{}\r\n", bearer("a"))).status,
        200
    );
    assert_eq!(authorizer.asked(), 1);

    authorizer.says(NO);
    assert_eq!(ask(&mut client, &bearer("a")).status, 200);
    for _ in 0..2 {
        let refused = ask(&mut client, &bearer("b"));
        assert_eq!((refused.status, &*refused.text()), (403, "no"));
    }
    let other =
        format!("POST /x HTTP/1.1\r\nHost: a.example\r\n{}Content-Length: 0\r\n\r\n", bearer("a"));
    assert_eq!(client.ask(other).status, 403);
    assert_eq!(authorizer.asked(), 3);

    // What is for one client alone, and what is no answer, is asked about again.
    for says in [
        "HTTP/1.1 302 Found\r\nLocation: /\r\nSet-Cookie: s=1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    ] {
        authorizer.says(says);
        let before = authorizer.asked();
        let _ = (ask(&mut client, &bearer("c")), ask(&mut client, &bearer("c")));
        assert_eq!(authorizer.asked(), before + 2, "{says}");
    }
    assert_eq!(results(&gateway)[4], 5.0);
}

#[test]
fn what_is_counted_and_remembered_outlives_a_reload() {
    let (origin, authorizer) = (Origin::echo(), Authorizer::start(YES));
    let more = ", cache: { ttl: 1h }";
    let config = config(&origin, &authorizer.origin.address(), more).also("workers: 1");
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/x").status, 200);
    gateway.write_config(&config.also("groups: { other: {} }"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/x").status, 200);
    assert_eq!(authorizer.asked(), 1);
    assert_eq!(results(&gateway), [1.0, 0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn rules_that_cost_nothing_come_first() {
    let (origin, authorizer) = (Origin::echo(), Authorizer::start(YES));
    let rule = format!("ext_authz: {{ url: \"http://{}/\" }}", authorizer.origin.address());
    let policies = format!("policies: [{rule}, access: {{ deny: [{{ method: DELETE }}] }}]");
    let gateway = Gateway::start(&Config::before(&origin).route(&policies));
    assert_eq!(gateway.ask("DELETE /x HTTP/1.1\r\nHost: a.example\r\n\r\n").status, 403);
    assert_eq!(authorizer.asked(), 0);
    assert_eq!(gateway.get("/x").status, 200);
    assert_eq!(authorizer.asked(), 1);
}
