//! Active checks: who is found out, who gets requests then, and who comes back.

mod protocols;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use portcullis_testkit::{Config, Gate, Gateway, Origin, Served, eventually, signal};
use serde_json::Value;

/// Often enough for a test.
const OFTEN: &str = "interval: 40ms, fast_interval: 20ms, timeout: 5s";

/// An origin that says at `/healthz` whether it is well, and `ok` to all else.
fn moody() -> (Origin, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(true));
    let mood = well.clone();
    let origin = Origin::with(move |served| {
        while let Some(request) = served.request() {
            let bad = request.target == "/healthz" && !mood.load(SeqCst);
            let status = if bad { "503 Service Unavailable" } else { "200 OK" };
            served.send(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok"));
        }
    });
    (origin, well)
}

/// Requests other than checks.
fn served(origin: &Origin) -> usize {
    origin.requests().iter().filter(|request| request.target != "/healthz").count()
}

fn checks(origin: &Origin) -> usize {
    origin.requests().iter().filter(|request| request.target == "/healthz").count()
}

/// What the admin listener tells of an endpoint of the service `origin`.
fn endpoint(gateway: &Gateway, address: &str) -> Value {
    let page: Value = serde_json::from_str(&gateway.admin("GET", "/endpoints").text()).unwrap();
    let endpoints = page["services"]["origin"]["endpoints"].as_array().unwrap();
    endpoints.iter().find(|endpoint| endpoint["address"] == address).unwrap().clone()
}

fn verdict(gateway: &Gateway, origin: &Origin) -> String {
    endpoint(gateway, &origin.address())["check"]["verdict"].as_str().unwrap_or("none").to_owned()
}

fn becomes(gateway: &Gateway, origin: &Origin, wanted: &str) {
    let address = origin.address();
    assert!(
        eventually(|| verdict(gateway, origin) == wanted),
        "not {wanted}: {}",
        endpoint(gateway, &address)
    );
}

/// Sends requests until `enough`; every one must be answered with 200.
fn ask_until(gateway: &Gateway, mut enough: impl FnMut() -> bool) {
    assert!(eventually(|| {
        assert_eq!(gateway.get("/").status, 200);
        enough()
    }));
}

#[test]
fn who_fails_gets_nothing_until_it_passes_again() {
    let ((a, a_well), (b, _)) = (moody(), moody());
    let active = format!("health: {{ active: {{ path: /healthz, {OFTEN} }} }}");
    let gateway = Gateway::start(&Config::before(&a).and(&b).service(&active));
    becomes(&gateway, &a, "healthy");
    a_well.store(false, SeqCst);
    becomes(&gateway, &a, "unhealthy");
    let line = gateway.wait_for_log("an endpoint is unhealthy");
    for part in [&*a.address(), "origin", "status", "status 503"] {
        assert!(line.contains(part), "{line}");
    }
    // The workers are told within a moment.
    ask_until(&gateway, || {
        let before = served(&a);
        (0..4).for_each(|_| assert_eq!(gateway.get("/").status, 200));
        served(&a) == before
    });
    let before = served(&a);
    (0..20).for_each(|_| assert_eq!(gateway.get("/").status, 200));
    assert_eq!(served(&a), before);
    let labels = format!("endpoint=\"{}\"", a.address());
    assert_eq!(gateway.metric("portcullis_endpoint_available", &labels), 0.0);
    assert!(gateway.metric("portcullis_health_checks_total", "result=\"status\"") >= 3.0);

    a_well.store(true, SeqCst);
    ask_until(&gateway, || served(&a) > before);
    let _ = gateway.wait_for_log("an endpoint is healthy again");
    assert_eq!(gateway.metric("portcullis_endpoint_available", &labels), 1.0);
}

#[test]
fn an_endpoint_is_checked_once_whoever_uses_it() {
    let (origin, _) = moody();
    let config = Config::before(&origin)
        .service("health: { active: { path: /healthz, interval: 50ms } }")
        .also("  b: { service: origin, match: { path: /b } }\n  c: { service: origin, match: { path: /c } }\nworkers: 4");
    let gateway = Gateway::start(&config);
    for path in ["/a", "/b", "/c"] {
        (0..8).for_each(|_| assert_eq!(gateway.get(path).status, 200));
    }
    assert!(eventually(|| checks(&origin) >= 10));
    // The gateway counts its checks in one place: what came to the origin is that, and the one
    // that may be under way.
    let counted = || gateway.metric("portcullis_health_checks_total", "result=\"passed\"") as usize;
    let before = counted();
    let came = checks(&origin);
    let after = counted();
    assert!((before..=after + 1).contains(&came), "{before} {came} {after}");
    // All over one connection, beside those of the requests.
    let health = origin.requests().into_iter().find(|request| request.target == "/healthz");
    let health = health.unwrap();
    assert_eq!(health.method, "GET");
    assert_eq!(health.field("user-agent"), Some("portcullis-health"));
    assert_eq!(health.field("host"), Some(&*origin.address()));
    let opened = gateway.metric("portcullis_upstream_connections_total", "") as usize;
    assert_eq!(origin.connections(), opened + 1);
}

#[test]
fn a_check_says_what_was_wrong() {
    let replying = |reply: &'static str| {
        Origin::with(move |served| while served.request().is_some() && served.send(reply) {})
    };
    let (never, broken) = (Gate::new(), "HTTP/1.1 200\r\nContent Length: 1\r\n\r\n");
    let held = never.clone();
    let silent = Origin::with(move |served| {
        let _ = served.request();
        held.pass();
    });
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhel";
    for (origin, check, result, detail) in [
        (replying("HTTP/1.1 204 No\r\n\r\n"), "http: { status: 200 }", "status", "status 204"),
        (
            replying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
            "http: { body: goodbye }",
            "body",
            "the text is not in it (5 bytes of content)",
        ),
        (
            replying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
            "http: { body: hello, max_body: 4 }",
            "body",
            "the text is not in it (4 bytes of content)",
        ),
        (
            replying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
            "http: { body: { regex: \"^ell\" } }",
            "body",
            "nothing in it matches",
        ),
        (replying(broken), "path: /", "malformed", ""),
        (Origin::with(|_| {}), "path: /", "reset", ""),
        (Origin::replying_once(cut), "path: /", "reset", ""),
        (silent, "path: /, timeout: 50ms", "timeout", "no answer within 50ms"),
    ] {
        let active = format!("health: {{ active: {{ {check}, interval: 100ms }} }}");
        let gateway = Gateway::start(&Config::before(&origin).service(&active));
        becomes(&gateway, &origin, "unhealthy");
        let told = endpoint(&gateway, &origin.address());
        let last = &told["check"]["last"];
        assert_eq!(last["result"], result, "{check}: {told}");
        assert!(last["detail"].as_str().unwrap().contains(detail), "{check}: {told}");
        // Those who still wait must not hold up the end.
        if result == "timeout" {
            (0..64).for_each(|_| never.open());
        }
    }
}

#[test]
fn what_is_expected_passes() {
    for (reply, check) in [
        ("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "http: { status: [200, \"400-404\"] }"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "http: { body: ell }"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "http: { body: { regex: \"^h.*o$\" } }",
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
            "http: { method: HEAD, path: \"/x?y=1\" }",
        ),
        // It ends with the connection, which is opened anew each time.
        ("HTTP/1.0 200 OK\r\n\r\n", "http: { host: a.example, headers: { X-Probe: \"1\" } }"),
    ] {
        let once = reply.starts_with("HTTP/1.0");
        let origin = if once { Origin::replying_once(reply) } else { Origin::replying(reply) };
        let active = format!("health: {{ active: {{ {check}, interval: 20ms }} }}");
        let gateway = Gateway::start(&Config::before(&origin).service(&active));
        becomes(&gateway, &origin, "healthy");
        assert!(eventually(|| origin.requests().len() > 3));
        assert_eq!(verdict(&gateway, &origin), "healthy", "{check}");
        let request = origin.first_request();
        if once {
            assert_eq!(request.field("x-probe"), Some("1"));
            assert_eq!(request.field("host"), Some("a.example"));
        } else {
            assert_eq!(origin.connections(), 1, "{check}");
        }
    }
}

#[test]
fn who_flaps_faster_than_the_thresholds_stays() {
    let origin = Origin::with(|served| {
        let mut turn = 0;
        while served.request().is_some() {
            turn += 1;
            let status = if turn % 3 == 0 { 200 } else { 503 };
            served.send(format!("HTTP/1.1 {status} Turn\r\nContent-Length: 0\r\n\r\n"));
        }
    });
    // The first check decides alone, so it may begin either way: two fail, one passes, and so on.
    let active = "health: { active: { path: /, interval: 20ms, healthy: 2, unhealthy: 3 } }";
    let gateway = Gateway::start(&Config::before(&origin).service(active));
    assert!(eventually(|| origin.requests().len() > 12));
    assert_eq!(verdict(&gateway, &origin), "unhealthy");
    assert_eq!(gateway.log().matches("an endpoint is").count(), 1, "{}", gateway.log());
}

#[test]
fn a_process_that_is_stopped_is_found_out() {
    let behind = |text: &str| {
        Gateway::start(&format!(
            "listeners: {{ web: {{ address: \"127.0.0.1:0\" }} }}\n\
             routes: {{ all: {{ reply: {{ body: {text} }} }} }}\naccess_log: off\n"
        ))
    };
    let (a, b) = (behind("a"), behind("b"));
    let config = Config::before_address(&a.address().to_string()).to_string().replace(
        &format!("[\"{}\"]", a.address()),
        &format!("[\"{}\", \"{}\"]", a.address(), b.address()),
    );
    let active = "health: { active: { path: /, interval: 100ms, timeout: 100ms } }, \
                  outliers: off, timeouts: { first_byte: 1s }";
    let config = config.replace("] }", &format!("], {active} }}"));
    let gateway = Gateway::start(&config);
    let address = a.address().to_string();
    let available =
        |wanted: bool| eventually(|| endpoint(&gateway, &address)["available"] == wanted);
    assert!(available(true));
    signal(a.pid(), "STOP");
    assert!(available(false), "{}", endpoint(&gateway, &address));
    assert_eq!(endpoint(&gateway, &address)["check"]["last"]["result"], "timeout");
    let line = gateway.wait_for_log("an endpoint is unhealthy");
    assert!(line.contains("no answer within 100ms"), "{line}");
    assert!(eventually(|| (0..4).all(|_| gateway.get("/").text() == "b")));
    signal(a.pid(), "CONT");
    assert!(available(true));
    assert!(eventually(|| gateway.get("/").text() == "a"));
}

#[test]
fn a_killed_endpoint_is_found_out_and_another_in_its_place_is_found_too() {
    let ((a, _), (b, _)) = (moody(), moody());
    let active = format!("health: {{ active: {{ path: /healthz, {OFTEN} }} }}, outliers: off");
    let gateway = Gateway::start(&Config::before(&a).and(&b).service(&active));
    becomes(&gateway, &a, "healthy");
    let address = a.address();
    drop(a);
    assert!(eventually(|| endpoint(&gateway, &address)["check"]["verdict"] == "unhealthy"));
    let place = portcullis_testkit::Place::Tcp(address.parse().unwrap());
    let again = Origin::at(&place, Served::echo);
    becomes(&gateway, &again, "healthy");
    ask_until(&gateway, || served(&again) > 0);
}

#[test]
fn who_is_awaited_gets_nothing_and_the_gateway_is_not_ready() {
    let gate = Gate::new();
    let held = gate.clone();
    let origin = Origin::with(move |served| {
        while let Some(request) = served.request() {
            if request.target == "/healthz" {
                held.pass();
            }
            served.reply("ok");
        }
    });
    let active = "health: { active: { path: /healthz, interval: 30s, timeout: 20s, initial: unhealthy } }, \
                  availability: { panic_below: 0% }";
    let config = Config::before(&origin).service(active);
    let gateway = Gateway::start(&config);
    let ready = gateway.admin("GET", "/readyz");
    assert_eq!(ready.status, 503);
    assert_eq!(ready.text(), "an endpoint of origin was not checked yet\n");
    assert_eq!(gateway.get("/").status, 503);
    assert_eq!(served(&origin), 0);
    gate.open();
    assert!(eventually(|| gateway.admin("GET", "/readyz").status == 200));
    assert!(eventually(|| gateway.get("/").status == 200));

    // What comes later is awaited, but the gateway stays ready.
    let other_gate = Gate::new();
    let other_held = other_gate.clone();
    let other = Origin::with(move |served| {
        let _ = served.request();
        other_held.pass();
        served.reply("ok");
    });
    gateway.write_config(&config.and(&other));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(verdict(&gateway, &other), "awaited");
    assert_eq!(gateway.admin("GET", "/readyz").status, 200);
    (0..6).for_each(|_| assert_eq!(gateway.get("/").status, 200));
    assert_eq!(served(&other), 0);
    other_gate.open();
}

#[test]
fn what_is_known_survives_a_reload_and_ends_with_the_checks() {
    let ((a, a_well), (b, _)) = (moody(), moody());
    a_well.store(false, SeqCst);
    let with = |more: &str| {
        let active = "health: { active: { path: /healthz, interval: 1h, timeout: 5s } }";
        Config::before(&a).and(&b).service(&format!("{active}, {more}"))
    };
    let gateway = Gateway::start(&with("timeouts: { stall: 50s }"));
    becomes(&gateway, &a, "unhealthy");
    becomes(&gateway, &b, "healthy");
    let checked = checks(&a);
    // Neither a change of the service nor one of the checks forgets, nor asks at once.
    for config in [
        with("timeouts: { stall: 40s }"),
        with("timeouts: { stall: 40s }").route("timeouts: { total: 30s }"),
    ] {
        gateway.write_config(&config);
        assert_eq!(gateway.reload().status, 200);
        assert_eq!(
            (verdict(&gateway, &a), verdict(&gateway, &b)),
            ("unhealthy".into(), "healthy".into())
        );
        let before = served(&a);
        (0..6).for_each(|_| assert_eq!(gateway.get("/").status, 200));
        assert_eq!(served(&a), before);
    }
    assert_eq!(checks(&a), checked);
    // Without checks nobody says that it is ill.
    gateway.write_config(&Config::before(&a).and(&b));
    assert_eq!(gateway.reload().status, 200);
    ask_until(&gateway, || served(&a) > 0);
    assert_eq!(checks(&a), checked);
}

#[test]
fn checks_stop_with_their_endpoint_and_with_the_gateway() {
    let ((a, _), (b, _)) = (moody(), moody());
    let active = "health: { active: { path: /healthz, interval: 20ms } }";
    let both = Config::before(&a).and(&b).service(active);
    let gateway = Gateway::start(&both);
    assert!(eventually(|| checks(&a) > 2 && checks(&b) > 2));
    gateway.write_config(&Config::before(&b).service(active));
    assert_eq!(gateway.reload().status, 200);
    // The connection that was kept goes with it.
    assert!(eventually(|| a.open_connections() == 0));
    let after = checks(&a);
    let more = checks(&b) + 5;
    assert!(eventually(|| checks(&b) > more));
    assert_eq!(checks(&a), after);
    gateway.signal("TERM");
    assert_eq!(gateway.exited().code, Some(0));
    assert!(eventually(|| b.open_connections() == 0));
}
