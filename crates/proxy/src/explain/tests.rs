//! Explanations of requests to gateways that are written as configurations.

use portcullis_config::{Format, Loader};
use portcullis_core::Reason;
use portcullis_wire::BUFFER_SIZE;

use super::*;
use crate::Compiler;

/// A request in short form; `fields` are `name: value`.
struct Ask<'a> {
    line: &'a str,
    fields: &'a [&'a str],
    peer: &'a str,
}

/// `METHOD host/target`.
fn ask(line: &str) -> Ask<'_> {
    Ask { line, fields: &[], peer: "192.0.2.1" }
}

fn snapshot(yaml: &str) -> Arc<Snapshot> {
    let yaml = format!("listeners: {{ web: {{ address: \"127.0.0.1:0\", {yaml}");
    let loaded = Loader::from_text("test.yaml", yaml, Format::Yaml).load().unwrap();
    Compiler::new(1).compile(&loaded.config, &loaded.changes).unwrap().snapshot
}

impl Ask<'_> {
    fn of<'s>(&self, snapshot: &'s Snapshot) -> Explanation<'s> {
        let (method, url) = self.line.split_once(' ').unwrap();
        let (host, target) = url.split_at(url.find(['/', '*']).unwrap());
        let split = |field: &&str| {
            let (name, value) = field.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        };
        let fields: Vec<_> = self.fields.iter().map(split).collect();
        let listener = &snapshot.listeners["web"];
        let peer = self.peer.parse().ok();
        explain(snapshot, &Question { listener, method, target, host, fields: &fields, peer })
    }
}

fn routed<'s>(explanation: &'s Explanation<'s>) -> &'s Routed<'s> {
    match &explanation.outcome {
        Outcome::Routed(routed) => routed,
        other => panic!("{other:?}"),
    }
}

fn refused(explanation: &Explanation<'_>) -> Reason {
    match &explanation.outcome {
        Outcome::Refused(failure, _) => failure.reason,
        other => panic!("{other:?}"),
    }
}

const USERS: &str = r#" limits: { uri: 64, fields: 4, head: 200, body: 10 } } }
services:
  users:
    endpoints: ["10.0.0.1:80", { address: "10.0.0.2:80", weight: 3 }]
    host: endpoint
    timeouts: { first_byte: 7s, total: 9s }
  next: { endpoints: ["10.0.0.3:80"], host: { set: next.example } }
routes:
  user:
    match: { path: "/users/{id}", methods: [GET, POST] }
    split: [ { service: users, weight: 90 }, { service: next, weight: 10 } ]
    rewrite: { path: "/v2/{id}" }
    timeouts: { stall: 3s, total: off }
    limits: { body: 20 }
  all: { match: { path: { prefix: /users } }, service: next, upgrade: true }
  moved: { match: { path: "/old/{*rest}" }, redirect: { to: "https://new.example/{rest}?{query}", status: 301 } }
  hello: { match: { path: /hello, host: h.example }, reply: { status: 200, body: hi } }
"#;

#[test]
fn a_forwarded_request_shows_every_share() {
    let snapshot = snapshot(USERS);
    let explanation = ask("GET a.example:81/x/../users/7%41?q=1").of(&snapshot);
    assert_eq!(explanation.authority, "a.example:81");
    let path = explanation.path.as_ref().unwrap();
    assert_eq!((&*path.raw, &*path.normal), ("/x/../users/7%41", "/users/7A"));
    let routed = routed(&explanation);
    assert_eq!(&*routed.route.route.name, "user");
    assert_eq!(routed.params, [("id".to_owned(), "7A".to_owned())]);
    assert_eq!(routed.body_limit, (Some(20), Source::Route));
    let Action::Forward { target, upgrade, services, .. } = &routed.action else { panic!() };
    assert_eq!((&**target, upgrade), ("/v2/7A?q=1", &None));

    let shares: Vec<_> = services.iter().map(|s| (&*s.service.service.name, s.weight)).collect();
    assert_eq!(shares, [("users", 90), ("next", 10)]);
    let reached: Vec<_> = services
        .iter()
        .flat_map(|s| &s.endpoints)
        .map(|e| (e.address, e.weight, &*e.host))
        .collect();
    assert_eq!(
        reached,
        [
            ("10.0.0.1:80", 1, "10.0.0.1:80"),
            ("10.0.0.2:80", 3, "10.0.0.2:80"),
            ("10.0.0.3:80", 1, "next.example"),
        ]
    );
    let timeouts = services[0].timeouts;
    assert_eq!(timeouts.first_byte, (Duration::from_secs(7), Source::Service));
    assert_eq!(timeouts.stall, (Duration::from_secs(3), Source::Route));
    assert_eq!(timeouts.total, (None, Source::Route));
}

#[test]
fn the_candidates_say_who_won_and_who_lost() {
    let snapshot = snapshot(USERS);
    let told = |line: &str| -> Vec<String> {
        let explanation = ask(line).of(&snapshot);
        let told = explanation.candidates.iter().map(|c| format!("{} {}", c.route.name, c.verdict));
        told.collect()
    };
    assert_eq!(told("GET a/users/7"), ["user won", "all lost: less specific path"]);
    assert_eq!(
        told("DELETE a/users/7"),
        ["user rejected: method is not GET, POST, HEAD", "all won"]
    );
    assert!(told("GET a/nothing").is_empty());
}

#[test]
fn the_listener_is_the_one_asked_about() {
    let snapshot = snapshot(
        " }, side: { address: \"127.0.0.1:0\" } }\nroutes:\n  \
         side: { match: { listener: side }, reply: {} }\n  \
         web: { match: { listener: web }, reply: {} }\n",
    );
    let explanation = ask("GET a/").of(&snapshot);
    let told: Vec<_> =
        explanation.candidates.iter().map(|c| format!("{} {}", c.route.name, c.verdict)).collect();
    assert_eq!(told, ["side rejected: listener is not side", "web won"]);
    assert_eq!(&*routed(&explanation).route.route.name, "web");
}

#[test]
fn an_unchanged_path_goes_on_as_it_came() {
    let snapshot = snapshot(USERS);
    let websocket = ["Connection: upgrade", "Upgrade: websocket"];
    let explanation = Ask { fields: &websocket, ..ask("GET a/users//x/./y?") }.of(&snapshot);
    let Action::Forward { target, upgrade, .. } = &routed(&explanation).action else { panic!() };
    assert_eq!((&**target, upgrade.as_deref()), ("/users//x/./y?", Some("websocket")));
}

#[test]
fn redirects_and_replies_are_told() {
    let snapshot = snapshot(USERS);
    let explanation = ask("GET a/old/b/c?q").of(&snapshot);
    let Action::Redirect { status, location } = &routed(&explanation).action else { panic!() };
    assert_eq!((*status, &**location), (301, "https://new.example/b/c?q"));

    let fields = ["host: h.example"];
    let explanation = Ask { fields: &fields, ..ask("GET a/hello") }.of(&snapshot);
    let Action::Reply(reply) = &routed(&explanation).action else { panic!() };
    assert_eq!((reply.status, &*reply.body), (200, &b"hi"[..]));
}

#[test]
fn what_the_pipeline_refuses_is_refused() {
    let snapshot = snapshot(USERS);
    let long = format!("GET a/{}", "x".repeat(64));
    let big = format!("x: {}", "y".repeat(200));
    let huge = format!("x: {}", "y".repeat(BUFFER_SIZE));
    for (line, fields, reason) in [
        ("GET a/nothing", &[][..], Reason::NoRoute),
        ("GET a/hello", &["host: other.example"], Reason::NoRoute),
        (&long, &[], Reason::UriTooLong),
        ("GET a/", &["a: 1", "b: 2", "c: 3", "d: 4"], Reason::HeadTooLarge),
        ("GET a/", &[&big], Reason::HeadTooLarge),
        ("GET a/", &[&huge], Reason::HeadTooLarge),
        ("GET a/b\u{e9}", &[], Reason::BadRequest),
        ("GET a/", &["x: 1\r\ny: 2"], Reason::BadRequest),
        ("GET u@a/", &[], Reason::BadRequest),
        ("CONNECT a/", &[], Reason::ConnectRefused),
        ("GET a/../x", &[], Reason::BadPath),
        ("GET a/%00", &[], Reason::BadPath),
        ("TRACE a/hello", &["max-forwards: 0"], Reason::MethodNotAllowed),
        ("POST a/users/7", &["content-length: 21"], Reason::BodyTooLarge),
        ("POST a/users/7/x", &["content-length: 11"], Reason::BodyTooLarge),
    ] {
        let explanation = Ask { fields, ..ask(line) }.of(&snapshot);
        assert_eq!(refused(&explanation), reason, "{line}");
    }
    assert!(matches!(ask("OPTIONS a*").of(&snapshot).outcome, Outcome::Own));
}

#[test]
fn a_method_that_no_route_takes_names_those_that_would_do() {
    let snapshot = snapshot(
        " } }\nroutes: { r: { match: { path: /r, methods: [GET] }, reply: { status: 204 } } }",
    );
    let explanation = ask("PUT a/r").of(&snapshot);
    let Outcome::Refused(failure, methods) = &explanation.outcome else { panic!() };
    assert_eq!(failure.reason, Reason::MethodNotAllowed);
    assert_eq!(methods.iter().map(|m| &**m).collect::<Vec<_>>(), ["GET", "HEAD"]);
}

#[test]
fn the_client_is_found_by_the_listeners_trust() {
    let snapshot = snapshot(
        " forwarded: { trusted: [\"10.0.0.0/8\"] } } }\nroutes: { r: { reply: { status: 204 } } }",
    );
    let says = ["X-Forwarded-For: 198.51.100.7, 10.1.1.1"];
    let client = |ask: Ask<'_>| ask.of(&snapshot).client.unwrap();
    let step = client(Ask { fields: &says, peer: "10.0.0.9", ..ask("GET a/") });
    assert_eq!((step.trusted, step.says), (true, true));
    assert_eq!(step.address, Some("198.51.100.7".parse().unwrap()));
    let step = client(Ask { fields: &says, ..ask("GET a/") });
    assert_eq!((step.trusted, step.says), (false, true));
    assert_eq!(step.address, step.peer);
    assert_eq!(client(Ask { peer: "none", ..ask("GET a/") }).address, None);
}

#[test]
fn policies_at_the_top_are_told_where_no_route_takes_the_request() {
    let snapshot = snapshot(
        "} }
policies: [{ rate_limit: { by: [ip, route], limit: 1, per: 1m } }]
routes: { x: { match: { path: /x, methods: [GET] }, reply: { status: 204 } } }
",
    );
    for (line, reason) in [("GET a/none", Reason::NoRoute), ("POST a/x", Reason::MethodNotAllowed)]
    {
        let explanation = ask(line).of(&snapshot);
        assert_eq!(refused(&explanation), reason);
        let [step] = &explanation.policies[..] else { panic!("{:?}", explanation.policies) };
        assert_eq!(step.running.counted().id.to_string(), "global/rate_limit/rate_limit");
        assert!(step.key[1].contains("route"), "{:?}", step.key);
    }
}
