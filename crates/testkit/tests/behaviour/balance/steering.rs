//! Requests that go to a certain endpoint: by a hash, by a cookie, by level and zone.

use portcullis_testkit::{Client, Config, Gateway, Origin, Reply, eventually};

fn named(name: &'static str) -> Origin {
    Origin::with(move |served| while served.request().is_some() && served.reply(name) {})
}

fn three() -> (Vec<Origin>, Config) {
    let origins = vec![named("a"), named("b"), named("c")];
    let config = Config::before(&origins[0]).and(&origins[1]).and(&origins[2]);
    (origins, config)
}

fn ask(gateway: &Gateway, path: &str, field: &str) -> Reply {
    gateway.ask(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n{field}\r\n"))
}

fn names(replies: impl Iterator<Item = Reply>) -> Vec<String> {
    let mut names: Vec<String> = replies.map(|reply| reply.text()).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn a_hash_keeps_equal_requests_together() {
    for algorithm in ["maglev", "ring"] {
        let (_origins, config) = three();
        let hash =
            format!("balance: {{ hash: {{ by: {{ header: X-User }}, algorithm: {algorithm} }} }}");
        let gateway = Gateway::start(&config.service(&hash).also("workers: 3"));
        let of = |user: usize| {
            let told = (0..4).map(|_| ask(&gateway, "/", &format!("X-User: u{user}\r\n")));
            let told = names(told);
            assert_eq!(told.len(), 1, "user {user} is at {told:?}");
            told[0].clone()
        };
        let before: Vec<String> = (0..40).map(of).collect();
        let mut used = before.clone();
        used.sort();
        used.dedup();
        assert_eq!(used, ["a", "b", "c"], "{algorithm}");
        // Who says nothing takes turns.
        assert_eq!(names((0..9).map(|_| gateway.get("/"))).len(), 3);
        // A reload that leaves the endpoints as they are leaves everybody where they are.
        gateway.write_config(
            &three_again(&_origins)
                .service(&format!("{hash}, timeouts: {{ stall: 9s }}"))
                .also("workers: 3"),
        );
        assert_eq!(gateway.reload().status, 200);
        assert_eq!((0..40).map(of).collect::<Vec<_>>(), before);
    }
}

fn three_again(origins: &[Origin]) -> Config {
    Config::before(&origins[0]).and(&origins[1]).and(&origins[2])
}

#[test]
fn every_part_of_a_request_may_be_hashed() {
    let (_origins, config) = three();
    let by = "balance: { hash: { by: [{ cookie: s }, { query: q }, { param: id }] } }";
    let config = config.service(by).route("match: { path: \"/u/{id}/{*rest}\" }");
    let gateway = Gateway::start(&config);
    let told = |path: &str, cookie: &str| {
        names((0..6).map(|_| ask(&gateway, path, &format!("Cookie: x=1; s={cookie}\r\n"))))
    };
    assert_eq!(told("/u/7/x?q=1", "k").len(), 1);
    // What is not hashed does not count, and everything that is hashed does.
    assert_eq!(told("/u/7/y?q=1&z=2", "k"), told("/u/7/x?q=1", "k"));
    let others = (0..30).flat_map(|n| told(&format!("/u/{n}/x?q=1"), "k"));
    let mut others: Vec<String> = others.collect();
    others.sort();
    others.dedup();
    assert_eq!(others.len(), 3);
    assert_eq!(told("/u/7/x", "k").len(), 3, "without one of them requests take turns");
}

#[test]
fn a_hash_goes_on_to_the_next_where_nobody_listens() {
    let (mut origins, config) = three();
    let hash = "balance: { hash: { by: { query: q } } }";
    let gateway = Gateway::start(&config.service(hash));
    let of = |q: usize| gateway.get(&format!("/?q={q}")).text();
    let before: Vec<String> = (0..30).map(of).collect();
    drop(origins.remove(0));
    for (q, had) in before.iter().enumerate() {
        let now = of(q);
        assert!(now == *had || (had == "a" && now != "a"), "{q} was at {had} and is at {now}");
    }
}

#[test]
fn connections_of_bytes_are_hashed_by_their_address() {
    let echo = || Origin::with(|served| while !served.some().is_empty() && served.send("x") {});
    let origins = [echo(), echo(), echo()];
    let endpoints: Vec<String> = origins.iter().map(Origin::address).collect();
    let config = format!(
        "listeners: {{ db: {{ address: \"127.0.0.1:0\", protocol: tcp }} }}\n\
         services: {{ s: {{ endpoints: {endpoints:?}, balance: {{ hash: {{ by: ip }} }} }} }}\n\
         tcp_routes: {{ all: {{ listener: db, service: s }} }}\nworkers: 2\n"
    );
    let gateway = Gateway::start(&config);
    for _ in 0..9 {
        let mut client = Client::connect(gateway.address_of("db"));
        client.send("hello");
        assert_eq!(client.exactly(1).unwrap(), b"x");
    }
    let mut counts: Vec<usize> = origins.iter().map(Origin::connections).collect();
    counts.sort_unstable();
    assert_eq!(counts, [0, 0, 9]);
}

/// The cookie that a reply sets, as a request sends it.
fn cookie(reply: &Reply) -> Option<String> {
    let pair = reply.field("set-cookie")?.split(';').next()?;
    Some(format!("Cookie: theme=dark; {pair}\r\n"))
}

#[test]
fn a_cookie_brings_clients_back() {
    let (origins, config) = three();
    let key = "0123456789abcdef0123456789abcdef";
    let sticky = format!("sticky: {{ cookie: seat, path: /shop, max_age: 1h, key: {key} }}");
    let gateway = Gateway::start(&config.service(&sticky).also("workers: 2"));
    let first = gateway.get("/");
    let line = first.field("set-cookie").unwrap();
    assert!(line.ends_with("; Path=/shop; Max-Age=3600; HttpOnly; SameSite=Lax"), "{line}");
    assert!(!line.contains("127.0.0.1"), "{line}");
    let had = cookie(&first).unwrap();
    for _ in 0..6 {
        let again = ask(&gateway, "/", &had);
        assert_eq!(again.text(), first.text());
        assert_eq!(again.field("set-cookie"), None, "it has one");
    }
    // One that nobody issued, and one that was spoilt, are chosen anew.
    for spoilt in [had.replace("seat=", "seat=x"), "Cookie: seat=\r\n".to_owned()] {
        assert!(ask(&gateway, "/", &spoilt).field("set-cookie").is_some());
    }
    let others = (0..6).map(|_| gateway.get("/"));
    assert_eq!(names(others).len(), 3, "clients without one are spread");
    let kept =
        gateway.metric("portcullis_sticky_requests_total", "service=\"origin\",result=\"kept\"");
    assert_eq!(kept, 6.0);

    // A restart with the same key, and any other node, know it too; so does a reload.
    let again = Gateway::start(&three_again(&origins).service(&sticky));
    assert_eq!(ask(&again, "/", &had).text(), first.text());
    again.write_config(
        &three_again(&origins).service(&format!("{sticky}, timeouts: {{ stall: 9s }}")),
    );
    assert_eq!(again.reload().status, 200);
    assert_eq!(ask(&again, "/", &had).text(), first.text());
    // Without the key, or with another, nobody does.
    let other = three_again(&origins).service(&sticky.replace("0123", "3210"));
    assert!(ask(&Gateway::start(&other), "/", &had).field("set-cookie").is_some());
}

#[test]
fn a_cookie_does_not_outlive_its_age() {
    let (_origins, config) = three();
    let gateway = Gateway::start(&config.service("sticky: { max_age: 1s }"));
    let had = cookie(&gateway.get("/")).unwrap();
    assert!(eventually(|| ask(&gateway, "/", &had).field("set-cookie").is_some()));
}

#[test]
fn a_client_whose_endpoint_is_gone_gets_another_cookie() {
    let (mut origins, config) = three();
    let gateway = Gateway::start(&config.service("sticky: {}"));
    let all: Vec<Reply> = (0..3).map(|_| gateway.get("/")).collect();
    let first = all.iter().find(|reply| reply.text() == "a").unwrap();
    let had = cookie(first).unwrap();
    drop(origins.remove(0));
    let moved = ask(&gateway, "/", &had);
    assert_ne!(moved.text(), "a");
    let has = cookie(&moved).unwrap();
    for _ in 0..4 {
        let again = ask(&gateway, "/", &has);
        assert_eq!((again.text(), again.field("set-cookie")), (moved.text(), None));
    }
    let lost =
        gateway.metric("portcullis_sticky_requests_total", "service=\"origin\",result=\"lost\"");
    assert_eq!(lost, 1.0);
}

#[test]
fn the_next_level_and_the_other_zone_take_over_where_nobody_listens() {
    let (a, b, c) = (named("a"), named("b"), named("c"));
    let endpoints = format!(
        "[{{ address: \"{}\", zone: here }}, {{ address: \"{}\", zone: there }}, {{ address: \"{}\", priority: 1 }}]",
        a.address(),
        b.address(),
        c.address()
    );
    let config = Config::before(&a).also("zone: here").to_string();
    let config = config.replace(&format!("[\"{}\"]", a.address()), &endpoints);
    let gateway = Gateway::start(&config);
    let told = || gateway.get("/").text();
    assert!((0..4).all(|_| told() == "a"));
    let share = |endpoint: &Origin| {
        let labels = format!("service=\"origin\",endpoint=\"{}\"", endpoint.address());
        gateway.metric("portcullis_endpoint_share", &labels)
    };
    assert_eq!([share(&a), share(&b), share(&c)], [1.0, 0.0, 0.0]);
    drop(a);
    assert!((0..4).all(|_| told() == "b"));
    drop(b);
    assert!((0..4).all(|_| told() == "c"));
}

#[test]
fn levels_follow_the_health_of_endpoints() {
    let (a, b) = (named("a"), named("b"));
    let sick = Origin::replying("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n");
    let endpoints = format!(
        "[\"{}\", \"{}\", {{ address: \"{}\", priority: 1 }}]",
        a.address(),
        sick.address(),
        b.address()
    );
    let service = "health: { active: { path: /, interval: 100ms, unhealthy: 1 } }, availability: { spill_below: 100% }";
    let config = Config::before(&a).service(service).to_string();
    let config = config.replace(&format!("[\"{}\"]", a.address()), &endpoints);
    let gateway = Gateway::start(&config);
    let share = |endpoint: &Origin| {
        let labels = format!("service=\"origin\",endpoint=\"{}\"", endpoint.address());
        gateway.metric("portcullis_endpoint_share", &labels)
    };
    assert!(eventually(|| share(&sick) == 0.0));
    assert_eq!([share(&a), share(&b)], [0.5, 0.5]);
    let (before_a, before_b) = (a.requests().len(), b.requests().len());
    let told: Vec<String> = (0..20).map(|_| gateway.get("/x").text()).collect();
    assert_eq!(told.iter().filter(|name| *name == "a").count(), 10, "{told:?}");
    assert!(a.requests().len() >= before_a + 10 && b.requests().len() >= before_b + 10);
}

#[test]
fn an_endpoint_that_joins_warms_up() {
    let (a, b) = (named("a"), named("b"));
    let slow_start = "slow_start: { window: 10h, min_share: 10% }";
    let gateway = Gateway::start(&Config::before(&a).service(slow_start));
    assert_eq!(gateway.get("/").text(), "a");
    gateway.write_config(&Config::before(&a).and(&b).service(slow_start));
    assert_eq!(gateway.reload().status, 200);
    let told: Vec<String> = (0..110).map(|_| gateway.get("/").text()).collect();
    let warm = |told: &[String]| told.iter().filter(|name| *name == "b").count();
    assert!(warm(&told).abs_diff(10) <= 1, "{}", warm(&told));
    // Another reload does not begin again, nor make an end of it.
    let more = format!("{slow_start}, timeouts: {{ stall: 9s }}");
    gateway.write_config(&Config::before(&a).and(&b).service(&more));
    assert_eq!(gateway.reload().status, 200);
    let told: Vec<String> = (0..110).map(|_| gateway.get("/").text()).collect();
    assert!(warm(&told).abs_diff(10) <= 1, "{}", warm(&told));
}

#[test]
fn the_slow_endpoint_is_spared() {
    let slow = Origin::with(|served| {
        while served.request().is_some() {
            std::thread::sleep(std::time::Duration::from_millis(60));
            if !served.reply("slow") {
                return;
            }
        }
    });
    let (a, b) = (named("a"), named("b"));
    let config = Config::before(&slow).and(&a).and(&b).service("balance: peak_ewma");
    let gateway = Gateway::start(&config);
    let told: Vec<String> = (0..60).map(|_| gateway.get("/").text()).collect();
    let slow = told.iter().filter(|name| *name == "slow").count();
    assert!((1..=5).contains(&slow), "{told:?}");
}
