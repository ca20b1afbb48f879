//! Endpoints that die, stall and vanish while requests come; services that take over; replies for
//! when nobody does.

use portcullis_testkit::{Config, Gateway, Island, Load, Origin, eventually, networks_can_be_made};

/// A server in a process of its own, which can be killed and stopped.
fn server() -> Gateway {
    let config = "listeners: { web: { address: \"127.0.0.1:0\" } }\nroutes: { all: { reply: { body: ok } } }\n";
    Gateway::start(&config)
}

fn before(servers: &[&Gateway], keys: &str) -> Gateway {
    let addresses: Vec<String> =
        servers.iter().map(|server| server.address().to_string()).collect();
    before_addresses(&addresses, keys)
}

fn before_addresses(addresses: &[String], keys: &str) -> Gateway {
    Gateway::start(&format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\nservices: {{ s: {{ endpoints: {addresses:?}, {keys} }} }}\nroutes: {{ all: {{ service: s }} }}\nworkers: 2\n"
    ))
}

#[test]
fn killing_one_of_three_loses_nothing() {
    // By default, and with retries that were asked for.
    for keys in ["", "retries: {}"] {
        let (a, b, c) = (server(), server(), server());
        let gateway = before(&[&a, &b, &c], keys);
        let load = Load::start(gateway.address(), "/", 24);
        load.wait_for_more(500);
        b.kill();
        load.wait_for_more(1000);
        let report = load.stop();
        assert!(report.failed.is_empty(), "{keys:?} {:?}", report.failed);
    }
}

#[test]
fn stopping_one_of_three_loses_nothing() {
    let (a, b, c) = (server(), server(), server());
    let gateway = before(&[&a, &b, &c], "retries: { per_try_timeout: 200ms }");
    let load = Load::start(gateway.address(), "/", 24);
    load.wait_for_more(500);
    b.signal("STOP");
    load.wait_for_more(500);
    let report = load.stop();
    b.signal("CONT");
    assert!(report.failed.is_empty(), "{:?}", report.failed);
}

/// What is sent to it gets lost without a word: neither a reset nor an end tells of it.
#[test]
fn cutting_off_one_of_three_loses_nothing() {
    if !networks_can_be_made() {
        return;
    }
    let islands = [(); 3].map(|()| Island::start(&"{ all: { reply: { body: ok } } }"));
    let addresses = islands.each_ref().map(|island| island.address().to_string());
    let gateway = before_addresses(
        &addresses,
        "timeouts: { connect: 200ms }, retries: { per_try_timeout: 300ms }, outliers: { base_ejection: 300ms, interval: 1h }",
    );
    let load = Load::start(gateway.address(), "/", 24);
    load.wait_for_more(500);
    islands[1].cut();
    load.wait_for_more(1000);
    let sent = |cause: &str| gateway.metric("portcullis_retries_total", cause);
    assert!(sent("cause=\"timeout\"") > 0.0, "some were under way");
    // Whoever tries again once the ejection is over finds no way.
    assert!(eventually(|| sent("cause=\"connect_failure\"") > 0.0));
    load.wait_for_more(500);
    islands[1].join();
    let labels = format!("endpoint=\"{}\"", addresses[1]);
    let to_it = || gateway.metric("portcullis_endpoint_requests_total", &labels);
    let ejections = || gateway.metric("portcullis_endpoint_ejections_total", "");
    let well = || gateway.metric("portcullis_endpoint_available", &labels) == 1.0;
    // Back at work once a whole second ends no ejection anew.
    assert!(eventually(|| {
        let before = (ejections(), to_it());
        load.wait_for_more(200);
        ejections() == before.0 && to_it() >= before.1 + 20.0 && well()
    }));
    let report = load.stop();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
}

#[test]
fn a_full_backlog_is_no_reason_to_fail() {
    let well = Origin::echo();
    // Nobody accepts, and there is no room for another connection.
    let full = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = full.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(stream) =
        std::net::TcpStream::connect_timeout(&address, std::time::Duration::from_millis(200))
    {
        held.push(stream);
    }
    let config = Config::before_address(&address.to_string())
        .and(&well)
        .service("timeouts: { connect: 100ms }");
    let gateway = Gateway::start(&config);
    for _ in 0..4 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert!(gateway.metric("portcullis_retries_total", "cause=\"connect_failure\"") > 0.0);
}

#[test]
fn a_backup_takes_over_and_gives_back() {
    let (main, backup) = (server(), Origin::echo());
    let address = main.address();
    let config = format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\nservices:\n  s: {{ endpoints: [\"{address}\"], backup: t }}\n  t: {{ endpoints: [\"127.0.0.1:1\"], backup: u }}\n  u: {{ endpoints: [\"{}\"] }}\n  none: {{ endpoints: [{{ address: \"{address}\", weight: 0 }}], backup: u }}\nroutes:\n  all: {{ service: s }}\n  none: {{ match: {{ path: /none }}, service: none }}\n",
        backup.address()
    );
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/").text(), "ok");
    assert_eq!(gateway.get("/none").status, 200);
    assert_eq!(backup.requests().len(), 1);
    main.kill();
    let post = "POST /x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi";
    assert!(gateway.ask(post).text().ends_with("hi"));
    assert_eq!(gateway.logged_request("/x")["service"], "u");
    assert_eq!(gateway.metric("portcullis_backup_requests_total", "service=\"s\""), 1.0);
    let again = Origin::at(&portcullis_testkit::Place::Tcp(address), |served| served.echo());
    assert!(gateway.get("/back").text().contains("/back"));
    assert_eq!(again.requests().len(), 1);
}

#[test]
fn connections_have_backups_too() {
    let backup = Origin::echo();
    let gateway = Gateway::start(&format!(
        "listeners: {{ web: {{ address: \"127.0.0.1:0\", protocol: tcp }} }}\nservices:\n  s: {{ endpoints: [\"127.0.0.1:1\"], backup: t }}\n  t: {{ endpoints: [\"{}\"] }}\ntcp_routes: {{ all: {{ listener: web, service: s }} }}\n",
        backup.address()
    ));
    assert_eq!(gateway.get("/").status, 200);
    let to_backup = || gateway.logged_requests().iter().any(|line| line["service"] == "t");
    assert!(eventually(to_backup));
}

#[test]
fn a_fallback_answers_for_a_service_that_does_not() {
    let config = Config::before_address("127.0.0.1:1")
        .route("fallback: { status: 200, headers: { x-from: shelf }, body: stale }");
    let gateway = Gateway::start(&config);
    let reply = gateway.get("/");
    assert_eq!((reply.status, reply.text().as_str()), (200, "stale"));
    assert_eq!(reply.field("x-from"), Some("shelf"));
    let logged = gateway.logged_request("/");
    assert_eq!((&logged["fallback"], &logged["error"]), (&true.into(), &"connect_failed".into()));
    // What the endpoint says itself goes through.
    let origin = Origin::replying("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    let gateway = Gateway::start(&Config::before(&origin).route("fallback: { body: stale }"));
    assert_eq!(gateway.get("/").text(), "busy");
}
