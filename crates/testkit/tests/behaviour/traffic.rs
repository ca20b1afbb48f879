//! What happens to a route's traffic besides its being forwarded: splits that hold on to a client,
//! copies, faults on purpose, and requests that are turned away.

use portcullis_testkit::{Config, Gate, Gateway, Origin, Reply, TempDir, eventually, run_command};

/// Two services behind one route, and more about that route.
fn split(a: &Origin, b: &Origin, more: &str) -> String {
    let (a, b) = (a.address(), b.address());
    format!(
        "listeners:\n  web: {{ address: \"127.0.0.1:0\" }}\n\
         services:\n  a: {{ endpoints: [\"{a}\"] }}\n  b: {{ endpoints: [\"{b}\"] }}\n\
         routes:\n  all: {{ split: [{{ service: a, weight: 50 }}, {{ service: b, weight: 50 }}], {more} }}\n"
    )
}

fn origins() -> (Origin, Origin) {
    (Origin::replying(answer("a")), Origin::replying(answer("b")))
}

fn answer(name: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{name}")
}

fn ask(gateway: &Gateway, field: &str) -> Reply {
    gateway.ask(format!("GET / HTTP/1.1\r\nHost: a.example\r\n{field}\r\n"))
}

#[test]
fn a_header_field_holds_a_client_to_its_service() {
    let (a, b) = origins();
    let gateway = Gateway::start(&split(&a, &b, "split_by: { header: X-User }"));
    let mut seen = std::collections::HashSet::new();
    for user in 0..40 {
        let field = format!("x-user: {user}\r\n");
        let first = ask(&gateway, &field).text();
        for _ in 0..4 {
            assert_eq!(ask(&gateway, &field).text(), first, "user {user}");
        }
        seen.insert(first);
    }
    assert_eq!(seen.len(), 2, "all users have the same service");
}

#[test]
fn a_cookie_is_given_once_and_holds_over_a_reload() {
    let (a, b) = origins();
    let config = split(&a, &b, "split_by: { cookie: side, max_age: 1d }");
    let gateway = Gateway::start(&config);
    for _ in 0..20 {
        let first = ask(&gateway, "");
        let given = first.field("set-cookie").expect("a cookie").to_owned();
        assert!(given.starts_with("side="), "{given}");
        for attribute in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=86400"] {
            assert!(given.contains(attribute), "{given}");
        }
        assert!(!given.contains("Secure"), "{given}");
        let cookie = given.split(';').next().expect("a pair");
        let again = ask(&gateway, &format!("Cookie: x=1; {cookie}\r\n"));
        assert_eq!(again.text(), first.text());
        assert_eq!(again.field("set-cookie"), None);
        gateway.write_config(&config.replace("weight: 50", "weight: 500"));
        assert_eq!(gateway.reload().status, 200);
        assert_eq!(ask(&gateway, &format!("Cookie: {cookie}\r\n")).text(), first.text());
    }
}

fn mirrored(main: &Origin, shadow: &Origin, more: &str) -> String {
    let (main, shadow) = (main.address(), shadow.address());
    format!(
        "listeners:\n  web: {{ address: \"127.0.0.1:0\" }}\n\
         services:\n  main: {{ endpoints: [\"{main}\"] }}\n  shadow: {{ endpoints: [\"{shadow}\"] }}\n\
         routes:\n  all: {{ match: {{ path: \"/a/{{*rest}}\" }}, service: main, rewrite: {{ strip_prefix: /a }}, mirror: {{ service: shadow{more} }} }}\n"
    )
}

#[test]
fn a_copy_is_the_same_request_and_its_reply_is_nobodys() {
    let main = Origin::replying(answer("m"));
    let shadow = Origin::replying("HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno");
    let gateway = Gateway::start(&mirrored(&main, &shadow, ""));
    let reply = gateway.ask(
        "POST /a/x?q=1 HTTP/1.1\r\nHost: a.example\r\nX-Own: 1\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    );
    assert_eq!((reply.status, reply.text()), (200, "m".to_owned()));
    let answered = || {
        let labels = "outcome=\"answered\"";
        gateway.metric("portcullis_mirrored_requests_total", labels) == 1.0
    };
    assert!(eventually(answered));
    let (first, copy) = (main.first_request(), shadow.first_request());
    assert_eq!((copy.method.as_str(), copy.target.as_str()), ("POST", "/x?q=1"));
    assert_eq!(copy.body, b"abcde");
    assert_eq!(copy.body, first.body);
    for name in ["host", "x-own", "x-forwarded-for"] {
        assert_eq!(copy.field(name), first.field(name), "{name}");
    }
}

#[test]
fn a_shadow_that_hangs_or_is_away_harms_nobody() {
    let held = Gate::new();
    let hung = held.clone();
    let main = Origin::replying(answer("m"));
    let shadow = Origin::with(move |served| {
        if served.request().is_some() {
            hung.pass();
        }
    });
    let gateway = Gateway::start(&format!("{}workers: 1\n", mirrored(&main, &shadow, ", most: 2")));
    let mut client = gateway.client();
    for _ in 0..10 {
        assert_eq!(client.get("/a/x").text(), "m");
    }
    let busy = gateway.metric("portcullis_mirrored_requests_total", "outcome=\"busy\"");
    assert!(busy >= 8.0, "{busy}");
    let active = || gateway.metric("portcullis_endpoint_requests_active", "service=\"shadow\"");
    assert!(eventually(|| active() == 2.0), "{}", active());
    held.open();
    held.open();
    drop(shadow);
    assert!(eventually(|| active() == 0.0), "{}", active());
    for _ in 0..10 {
        assert_eq!(client.get("/a/x").text(), "m");
    }
}

#[test]
fn copies_of_requests_under_way_are_bounded_too() {
    let held = Gate::new();
    let slow = held.clone();
    let main = Origin::with(move |served| {
        while served.request().is_some() {
            slow.pass();
            served.reply("m");
        }
    });
    let shadow = Origin::echo();
    let gateway = Gateway::start(&format!("{}workers: 1\n", mirrored(&main, &shadow, ", most: 2")));
    let mut clients: Vec<_> = (0..6).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send("GET /a/x HTTP/1.1\r\nHost: a.example\r\n\r\n");
    }
    let counted = |outcome: &str| {
        gateway.metric("portcullis_mirrored_requests_total", &format!("outcome=\"{outcome}\""))
    };
    assert!(eventually(|| counted("busy") == 4.0));
    for _ in &clients {
        held.open();
    }
    for client in &mut clients {
        assert_eq!(client.reply().text(), "m");
    }
    assert!(eventually(|| counted("answered") == 2.0));
    assert_eq!(shadow.requests().len(), 2);
}

#[test]
fn a_body_that_is_too_large_is_not_copied() {
    let main = Origin::replying(answer("m"));
    let shadow = Origin::echo();
    let gateway = Gateway::start(&mirrored(&main, &shadow, ", body: 4B"));
    for body in [
        "Content-Length: 5\r\n\r\nabcde",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    ] {
        let reply = gateway.ask(format!("POST /a/x HTTP/1.1\r\nHost: a.example\r\n{body}"));
        assert_eq!(reply.text(), "m");
    }
    let labels = "outcome=\"too_large\"";
    assert!(eventually(|| gateway.metric("portcullis_mirrored_requests_total", labels) == 2.0));
    assert_eq!(shadow.requests().len(), 0);
}

#[test]
fn an_abort_answers_with_its_status_and_says_that_it_was_on_purpose() {
    let origin = Origin::echo();
    let config = Config::before(&origin).route("faults: { abort: { status: 418 } }");
    let gateway = Gateway::start(&config);
    let reply = gateway.get("/x");
    assert_eq!(reply.status, 418);
    assert!(reply.text().contains("\"code\":\"fault_injected\""), "{}", reply.text());
    assert!(reply.text().contains("\"status\":418"), "{}", reply.text());
    assert_eq!(gateway.logged_request("/x")["status"], 418);
    assert_eq!(origin.requests().len(), 0);
}

#[test]
fn a_delay_holds_requests_back_and_then_lets_them_go() {
    let origin = Origin::echo();
    let config = Config::before(&origin).route("faults: { delay: { time: 300ms } }");
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/x").status, 200);
    let took = gateway.logged_request("/x")["duration_us"].as_u64().expect("a duration");
    assert!(took >= 300_000, "{took}");
}

#[test]
fn a_share_of_requests_is_a_share() {
    let origin = Origin::replying(answer("o"));
    let config = Config::before(&origin).route("faults: { abort: { share: 20% } }");
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    let refused = (0..1000).filter(|_| client.get("/").status == 503).count();
    // Ten standard deviations of a fair draw.
    assert!((75..=325).contains(&refused), "{refused}");
}

#[test]
fn what_is_too_much_is_turned_away_at_once_and_says_when_to_come_again() {
    let held = Gate::new();
    let slow = held.clone();
    let origin = Origin::with(move |served| {
        while let Some(request) = served.request() {
            if request.target == "/hold" {
                slow.pass();
            }
            served.reply("ok");
        }
    });
    let config =
        Config::before(&origin).service("overload: { least: 1, most: 1 }").also("workers: 1");
    let gateway = Gateway::start(&config);
    let mut first = gateway.client();
    first.send("GET /hold HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert!(eventually(|| origin.requests().len() == 1));
    let refused = gateway.get("/refused");
    assert_eq!(refused.status, 503);
    assert_eq!(refused.field("retry-after"), Some("1"));
    assert!(refused.text().contains("\"code\":\"overloaded\""), "{}", refused.text());
    // A change of configuration does not forget who is under way.
    gateway.write_config(&config.clone().route("importance: high"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/still").status, 503);
    let shed = |labels: &str| gateway.metric("portcullis_shed_requests_total", labels);
    let by_limit = |importance: &str| {
        shed(&format!("cause=\"limit\",importance=\"{importance}\",service=\"origin\""))
    };
    assert_eq!((by_limit("normal"), by_limit("high"), shed("cause=\"lag\"")), (1.0, 1.0, 0.0));
    assert_eq!(gateway.metric("portcullis_service_adaptive_limit", "service=\"origin\""), 1.0);
    held.open();
    assert_eq!(first.reply().text(), "ok");
    assert_eq!(gateway.get("/now").text(), "ok");
}

#[test]
fn what_is_turned_away_uses_up_no_limit() {
    let held = Gate::new();
    let slow = held.clone();
    let origin = Origin::with(move |served| {
        while let Some(request) = served.request() {
            if request.target == "/hold" {
                slow.pass();
            }
            served.reply("ok");
        }
    });
    let config = Config::before(&origin)
        .service("overload: { least: 1, most: 1 }")
        .route("policies: [{ rate_limit: { limit: 3, per: 1d } }]")
        .also("workers: 1");
    let gateway = Gateway::start(&config);
    let mut first = gateway.client();
    first.send("GET /hold HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert!(eventually(|| origin.requests().len() == 1));
    for _ in 0..5 {
        assert_eq!(gateway.get("/refused").status, 503);
    }
    held.open();
    assert_eq!(first.reply().text(), "ok");
    assert_eq!(gateway.get("/second").status, 200);
    assert_eq!(gateway.get("/third").status, 200);
    assert_eq!(gateway.get("/fourth").status, 429);
}

#[test]
fn what_makes_no_sense_is_told_with_its_place() {
    for (route, service, wanted) in [
        ("split_by: { header: x }", "", "nothing to hold a client to"),
        ("split_by: { cookie: a, header: b }", "", "either a `cookie` or a `header`"),
        ("mirror: { service: nowhere }", "", "no service `nowhere`"),
        ("mirror: { service: origin, share: 0% }", "", "share of nothing"),
        ("mirror: { service: origin, body: 2MiB }", "", "at most `1MiB`"),
        ("faults: {}", "", "no fault is named"),
        ("faults: { abort: { status: 200 } }", "", "no status of an error"),
        ("faults: { delay: { time: 0s } }", "", "duration of zero"),
        ("importance: huge", "", "importance"),
        ("", "overload: { least: 9, most: 3 }", "cannot both hold"),
        ("", "overload: { tolerance: 0.5 }", "cannot be a tolerance"),
    ] {
        let dir = TempDir::new();
        let mut config = Config::before_address("127.0.0.1:1");
        if !route.is_empty() {
            config = config.route(route);
        }
        if !service.is_empty() {
            config = config.service(service);
        }
        std::fs::write(dir.path().join("c.yaml"), config.to_string()).expect("a file");
        let output = run_command(&["check", "-c", "c.yaml"], dir.path());
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{route}{service}: {said}");
        assert!(said.contains(wanted) && said.contains("c.yaml:"), "{route}{service}: {said}");
    }
}
