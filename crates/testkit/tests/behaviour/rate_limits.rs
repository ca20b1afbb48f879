//! Limits of rate, quotas and concurrency, as clients see them.

mod changes;
mod concurrency;

use std::thread;

use portcullis_testkit::h2::{Block, H2Client};
use portcullis_testkit::{Client, Config, Gateway, Origin, Reply, eventually};

/// A request of the client with this key.
fn asked(key: &str) -> String {
    format!("GET /x HTTP/1.1\r\nHost: a.example\r\nX-Key: {key}\r\n\r\n")
}

fn ask(client: &mut Client, key: &str) -> Reply {
    client.ask(asked(key))
}

/// A gateway whose route has these policies.
fn with_policies(origin: &Origin, policies: &str) -> Gateway {
    Gateway::start(&Config::before(origin).route(&format!("policies: [{policies}]")))
}

const BY_KEY: &str = "by: { header: x-key }";

#[test]
fn too_many_requests_are_429_and_told_when_to_come_back() {
    let origin = Origin::echo();
    let gateway = with_policies(
        &origin,
        &format!("rate_limit: {{ name: per-key, {BY_KEY}, limit: 3, per: 1h }}"),
    );
    let mut client = gateway.client();
    for left in (0..3).rev() {
        let reply = ask(&mut client, "a");
        assert_eq!(reply.status, 200);
        assert_eq!(reply.field("ratelimit-policy"), Some("\"per-key\";q=3;w=3600"));
        let told = reply.field("ratelimit").unwrap();
        assert!(told.starts_with(&format!("\"per-key\";r={left};t=")), "{told}");
    }
    for _ in 0..5 {
        let reply = ask(&mut client, "a");
        assert_eq!(reply.status, 429);
        assert_eq!(reply.field("content-type"), Some("application/problem+json"));
        assert!(reply.text().contains("\"code\":\"rate_limited\""), "{}", reply.text());
        let retry: u64 = reply.field("retry-after").unwrap().parse().unwrap();
        assert!((1..=1200).contains(&retry), "{retry}");
        assert_eq!(reply.field("ratelimit"), Some(&*format!("\"per-key\";r=0;t={retry}")));
        assert!(!reply.closes());
    }
    assert_eq!(ask(&mut client, "b").status, 200);
    assert_eq!(origin.requests().len(), 4);
    let labels = |outcome| {
        format!("scope=\"route/all\",kind=\"rate_limit\",policy=\"per-key\",outcome=\"{outcome}\"")
    };
    let counted = |outcome| gateway.metric("portcullis_policy_requests_total", &labels(outcome));
    assert_eq!((counted("allowed"), counted("refused")), (4.0, 5.0));
    let refused = || gateway.logged_requests().into_iter().find(|line| line["status"] == 429);
    assert!(eventually(|| refused().is_some()));
    let line = refused().unwrap();
    assert_eq!((&line["error"], &line["policy"]), (&"rate_limited".into(), &"per-key".into()));
}

#[test]
fn the_older_fields_come_when_asked_for() {
    let origin = Origin::echo();
    let limit = format!("rate_limit: {{ {BY_KEY}, limit: 3, per: 1h, headers: both }}");
    let gateway = with_policies(&origin, &limit);
    let reply = ask(&mut gateway.client(), "a");
    assert_eq!(reply.field("x-ratelimit-limit"), Some("3"));
    assert_eq!(reply.field("x-ratelimit-remaining"), Some("2"));
    assert_eq!(reply.field("x-ratelimit-reset"), Some("1200"));
    assert!(reply.field("ratelimit").is_some());

    let off = with_policies(
        &origin,
        &format!("rate_limit: {{ {BY_KEY}, limit: 3, per: 1h, headers: off }}"),
    );
    let reply = ask(&mut off.client(), "a");
    assert!(reply.field("ratelimit").is_none() && reply.field("x-ratelimit-limit").is_none());
}

#[test]
fn a_refusal_by_one_limit_costs_nothing_with_the_others() {
    let origin = Origin::echo();
    let config = Config::before(&origin)
        .route(&format!("policies: [rate_limit: {{ name: key, {BY_KEY}, limit: 2, per: 1h }}]"))
        .service("policies: [rate_limit: { name: all, limit: 5, per: 1h }, quota: { limit: 100, per: month }]")
        .also("state: off\npolicies: [rate_limit: { name: key, limit: 1, per: 1h }]");
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    let statuses: Vec<u16> = (0..10).map(|_| ask(&mut client, "a").status).collect();
    assert_eq!(statuses, [200, 200, 429, 429, 429, 429, 429, 429, 429, 429]);
    // The global one of the same name is replaced; of the five for all, three are left.
    let statuses: Vec<u16> =
        ["b", "b", "c", "c", "d"].map(|key| ask(&mut client, key).status).to_vec();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    let reply = ask(&mut client, "e");
    assert_eq!(
        reply.field("ratelimit-policy"),
        Some("\"key\";q=2;w=3600, \"all\";q=5;w=3600, \"quota\";q=100")
    );
    let told = reply.field("ratelimit").unwrap();
    assert!(told.contains("\"all\";r=0;t=") && told.contains("\"quota\";r=95"), "{told}");
}

#[test]
fn many_clients_on_many_workers_get_exactly_the_limit() {
    let origin = Origin::echo();
    let config = Config::before(&origin)
        .route("policies: [rate_limit: { limit: 200, per: 1d }]")
        .also("workers: 4");
    let gateway = Gateway::start(&config);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let mut client = gateway.client();
            thread::spawn(move || (0..60).filter(|_| ask(&mut client, "a").status == 200).count())
        })
        .collect();
    let passed: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(passed, 200);
    assert_eq!(origin.requests().len(), 200);
}

#[test]
fn http2_and_http1_share_a_bucket() {
    let origin = Origin::echo();
    let gateway = with_policies(&origin, &format!("rate_limit: {{ {BY_KEY}, limit: 2, per: 1h }}"));
    let mut http2 = H2Client::connect(gateway.address());
    let block = Block::get("/x").field("x-key", "a");
    assert_eq!(http2.ask(&block).status, 200);
    assert_eq!(ask(&mut gateway.client(), "a").status, 200);
    let reply = http2.ask(&block);
    assert_eq!(reply.status, 429);
    assert!(reply.field("ratelimit").unwrap().starts_with("\"rate_limit\";r=0;t="));
    assert!(reply.field("retry-after").is_some());

    let grpc = Block::post("/s/m").field("x-key", "a").field("content-type", "application/grpc");
    let reply = http2.ask(&grpc);
    assert_eq!((reply.status, reply.field("grpc-status")), (200, Some("8")));
}

#[test]
fn a_missing_part_has_the_meaning_that_was_chosen() {
    let origin = Origin::echo();
    let without = "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let twice = "GET /x HTTP/1.1\r\nHost: a.example\r\nX-Key: 1\r\nX-Key: 2\r\n\r\n";
    let gateway = |missing: &str| {
        with_policies(
            &origin,
            &format!("rate_limit: {{ {BY_KEY}, limit: 1, per: 1h, missing: {missing} }}"),
        )
    };
    let own = gateway("own_bucket");
    let mut client = own.client();
    assert_eq!(ask(&mut client, "a").status, 200);
    let statuses = [without, twice, without].map(|request| client.ask(request).status);
    assert_eq!(statuses, [200, 429, 429]);

    let refuse = gateway("refuse");
    let mut client = refuse.client();
    for request in [without, twice] {
        let reply = client.ask(request);
        assert_eq!(reply.status, 400);
        assert!(reply.text().contains("\"code\":\"key_missing\""));
    }
    let unlimited = gateway("unlimited");
    let mut client = unlimited.client();
    let statuses = [without, without, without].map(|request| client.ask(request).status);
    assert_eq!(statuses, [200, 200, 200]);
}

#[test]
fn keys_are_made_of_many_things() {
    let origin = Origin::echo();
    let config = Config::before(&origin).route(
        "match: { path: \"/u/{id}\" }, policies: [rate_limit: { by: [{ param: id }, { query: q }, { cookie: c }, method, host, route, service, listener, ip], limit: 1, per: 1h }]",
    );
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    let mut status = |method: &str, target: &str, host: &str, cookie: &str| {
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n");
        client.ask(request).status
    };
    assert_eq!(status("GET", "/u/1?q=a", "h", "c=1"), 200);
    for (method, target, host, cookie, expected) in [
        ("GET", "/u/1?q=a", "h", "c=1", 429),
        ("GET", "/u/1?q=%61", "H:80", "b=2; c=1", 429),
        ("GET", "/u/%31?q=a&r=1", "h", "c=\"1\"", 429),
        ("PUT", "/u/1?q=a", "h", "c=1", 200),
        ("GET", "/u/2?q=a", "h", "c=1", 200),
        ("GET", "/u/1?q=b", "h", "c=1", 200),
        ("GET", "/u/1?q=a", "g", "c=1", 200),
        ("GET", "/u/1?q=a", "h", "c=2", 200),
    ] {
        assert_eq!(status(method, target, host, cookie), expected, "{method} {target}");
    }
}

#[test]
fn costs_come_from_a_field_within_bounds() {
    let origin = Origin::echo();
    let gateway = with_policies(
        &origin,
        "rate_limit: { limit: 20, per: 1d, cost: { header: x-cost, default: 2, max: 5 } }",
    );
    let mut client = gateway.client();
    let mut left = |fields: &str| {
        let reply = client.ask(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"));
        let told = reply.field("ratelimit").unwrap().to_owned();
        told.split(";r=").nth(1).unwrap().split(';').next().unwrap().parse::<u32>().unwrap()
    };
    assert_eq!(left("X-Cost: 3\r\n"), 17);
    assert_eq!(left(""), 15);
    assert_eq!(left("X-Cost: 99999999999999\r\n"), 10);
    assert_eq!(left("X-Cost: -1\r\n"), 8);
    assert_eq!(left("X-Cost: 0\r\n"), 7);
    assert_eq!(left("X-Cost: 1\r\nX-Cost: 4\r\n"), 3);
}

#[test]
fn replies_of_the_gateway_itself_are_limited_too() {
    let origin = Origin::echo();
    let config = Config::before(&origin).also(
        "  own: { match: { path: \"/own\" }, reply: { body: hi } }\npolicies: [rate_limit: { by: [ip, route], limit: 1, per: 1h }]",
    );
    let gateway = Gateway::start(&config);
    let first = gateway.get("/own");
    assert_eq!((first.status, first.text().as_str()), (200, "hi"));
    assert!(first.field("ratelimit").is_some());
    assert_eq!(gateway.get("/own").status, 429);
    assert_eq!((gateway.get("/x").status, gateway.get("/x").status), (200, 429));
}

#[test]
fn requests_that_no_route_takes_are_limited_by_what_stands_at_the_top() {
    let origin = Origin::echo();
    let config = Config::before(&origin)
        .route("match: { path: /x, methods: [GET] }, policies: [rate_limit: { name: own, limit: 9, per: 1h }]")
        .also("policies:\n- rate_limit: { by: ip, limit: 4, per: 1h }\n- rate_limit: { name: of-routes, by: route, missing: unlimited, limit: 1, per: 1h }");
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    let mut ask = |line: &str| client.ask(format!("{line} HTTP/1.1\r\nHost: a.example\r\n\r\n"));
    assert_eq!(ask("GET /x").status, 200);
    let reply = ask("GET /wp-login.php");
    assert_eq!(reply.status, 404);
    assert_eq!(reply.field("ratelimit-policy"), Some("\"rate_limit\";q=4;w=3600"));
    assert!(reply.field("ratelimit").unwrap().starts_with("\"rate_limit\";r=2;t="));
    let reply = ask("POST /x");
    assert_eq!((reply.status, reply.field("allow")), (405, Some("GET, HEAD")));
    let statuses = ["GET /.env", "GET /.git", "DELETE /x"].map(|line| ask(line).status);
    assert_eq!(statuses, [404, 429, 429]);
    let labels = |outcome| {
        format!("scope=\"global\",kind=\"rate_limit\",policy=\"rate_limit\",outcome=\"{outcome}\"")
    };
    let counted = |outcome| gateway.metric("portcullis_policy_requests_total", &labels(outcome));
    assert_eq!((counted("allowed"), counted("refused")), (4.0, 2.0));
}

#[test]
fn delayed_requests_all_pass_and_too_many_do_not() {
    let origin = Origin::echo();
    let gateway = with_policies(
        &origin,
        "rate_limit: { limit: 20, per: 1s, burst: 1, on_limit: delay, max_delay: 10s, waiters: 3 }",
    );
    let mut clients: Vec<Client> = (0..4).map(|_| gateway.client()).collect();
    clients.iter_mut().for_each(|client| client.send(asked("a")));
    let statuses: Vec<u16> = clients.iter_mut().map(|client| client.reply().status).collect();
    assert_eq!(statuses, [200; 4]);
    let delayed =
        "scope=\"route/all\",kind=\"rate_limit\",policy=\"rate_limit\",outcome=\"delayed\"";
    assert!(gateway.metric("portcullis_policy_requests_total", delayed) >= 1.0);

    let slow = with_policies(
        &origin,
        "rate_limit: { limit: 1, per: 1h, on_limit: delay, max_delay: 2h, waiters: 1 }",
    );
    assert_eq!(slow.get("/").status, 200);
    let mut waits = H2Client::connect(slow.address());
    waits.request(&Block::get("/x"));
    let labels = "scope=\"route/all\",kind=\"rate_limit\",policy=\"rate_limit\"";
    let waiting = || slow.metric("portcullis_policy_waiting_requests", labels);
    assert!(eventually(|| waiting() == 1.0));
    assert_eq!(slow.get("/").status, 429);
    drop(waits);
    assert!(eventually(|| waiting() == 0.0));
}

#[test]
fn few_keys_are_kept_and_the_gateway_says_so() {
    let origin = Origin::echo();
    let gateway =
        with_policies(&origin, &format!("rate_limit: {{ {BY_KEY}, keys: 8, limit: 2, per: 1h }}"));
    let mut client = gateway.client();
    for n in 0..300 {
        assert_eq!(ask(&mut client, &n.to_string()).status, 200);
    }
    let labels = "scope=\"route/all\",kind=\"rate_limit\",policy=\"rate_limit\"";
    assert_eq!(gateway.metric("portcullis_policy_key_slots", labels), 24.0);
    assert_eq!(gateway.metric("portcullis_policy_keys", labels), 24.0);
    assert!(gateway.metric("portcullis_policy_evictions_total", labels) >= 276.0);
}
