//! Connections to origins: kept, used again, and thrown away as soon as they could do harm.

use portcullis_testkit::{Config, Gate, Gateway, Origin, eventually};

/// Answers the first request of its first connection, then closes when the second has come.
fn dies_on_the_second_request() -> Origin {
    Origin::with(|served| {
        if served.number == 0 {
            served.request();
            served.reply("first");
            served.request();
            return;
        }
        while served.request().is_some() && served.reply("again") {}
    })
}

#[test]
fn an_idle_connection_is_used_again() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin);
    for _ in 0..10 {
        // Another client each time: the pool is not theirs.
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_eq!(origin.connections(), 1);
    assert_eq!(gateway.metric("portcullis_upstream_connections_total", ""), 1.0);
}

#[test]
fn a_get_on_a_dead_connection_is_sent_again() {
    let origin = dies_on_the_second_request();
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    assert_eq!(client.get("/").text(), "first");
    assert_eq!(client.get("/").text(), "again");
    assert_eq!((origin.connections(), origin.requests().len()), (2, 3));
}

#[test]
fn a_get_is_sent_again_but_once() {
    let origin = Origin::with(|served| {
        if served.number == 0 && served.request().is_some() {
            served.reply("first");
        }
        served.request();
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    assert_eq!(client.get("/").text(), "first");
    assert_eq!(client.get("/").status, 502);
    assert_eq!((origin.connections(), origin.requests().len()), (2, 3));
}

#[test]
fn a_request_that_may_have_had_its_effect_is_not_sent_again() {
    for request in [
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello",
        "PATCH / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello",
        // Idempotent, but its content is gone: it is kept only where retries are on.
        "PUT / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let origin = dies_on_the_second_request();
        let gateway = Gateway::start(&Config::before(&origin).service("retries: off"));
        let mut client = gateway.client();
        assert_eq!(client.get("/").text(), "first");
        assert_eq!(client.ask(request).status, 502, "{request}");
        assert_eq!((origin.connections(), origin.requests().len()), (1, 2), "{request}");
    }
}

#[test]
fn a_connection_that_the_origin_closed_while_idle_costs_no_request() {
    let idle = Gate::new();
    let origin = Origin::with({
        let idle = idle.clone();
        move |served| {
            served.request();
            served.reply("ok");
            idle.pass();
        }
    });
    let gateway = Gateway::before(&origin);
    for i in 1..=3 {
        let reply = gateway.ask("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(reply.text(), "ok");
        assert_eq!(origin.connections(), i);
        idle.open();
        assert!(eventually(|| origin.open_connections() == 0));
    }
}

#[test]
fn a_reply_that_nobody_asked_for_reaches_nobody() {
    let (idle, sent) = (Gate::new(), Gate::new());
    let origin = Origin::with({
        let (idle, sent) = (idle.clone(), sent.clone());
        move |served| {
            served.request();
            served.reply("asked for");
            if served.number == 0 {
                idle.pass();
                served.reply("smuggled");
                sent.open();
            }
            while served.request().is_some() && served.reply("asked for") {}
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    assert_eq!(client.get("/").text(), "asked for");
    idle.open();
    sent.pass();
    for _ in 0..3 {
        assert_eq!(client.get("/").text(), "asked for");
    }
    assert_eq!(origin.connections(), 2);
}

#[test]
fn content_behind_a_reply_to_head_poisons_no_other_request() {
    let origin = Origin::with(|served| {
        while let Some(request) = served.request() {
            let rest = if request.method == "HEAD" {
                "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"
            } else {
                "ok"
            };
            let length = if request.method == "HEAD" { rest.len() } else { 2 };
            served.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{rest}"));
        }
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for _ in 0..5 {
        client.send("HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n");
        assert_eq!(client.try_reply("HEAD").unwrap().status, 200);
        assert_eq!(client.get("/").text(), "ok");
    }
}

#[test]
fn connection_close_from_the_origin_is_obeyed() {
    let origin = Origin::with(|served| {
        served.request();
        served.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        // A second request here would be lost.
        assert!(served.request().is_none());
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    for _ in 0..5 {
        assert_eq!(client.get("/").text(), "ok");
    }
    assert_eq!(origin.connections(), 5);
}

#[test]
fn no_more_idle_connections_are_kept_than_configured() {
    // Three requests at once need three connections; the origin answers when all are there.
    let all_there = Gate::new();
    let origin = Origin::with({
        let all_there = all_there.clone();
        move |served| {
            while served.request().is_some() {
                all_there.pass();
                served.reply("ok");
            }
        }
    });
    let config = Config::before(&origin).service("pool: { idle: 1, idle_timeout: 60s }");
    let gateway = Gateway::start(&config);
    let mut clients: Vec<_> = (0..3).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    }
    assert!(eventually(|| origin.requests().len() == 3));
    (0..3).for_each(|_| all_there.open());
    for client in &mut clients {
        assert_eq!(client.reply().text(), "ok");
    }
    assert!(eventually(|| origin.open_connections() == 1), "{}", origin.open_connections());
}

#[test]
fn an_idle_connection_is_closed_after_its_time() {
    let origin = Origin::echo();
    let config = Config::before(&origin).service("pool: { idle: 8, idle_timeout: 200ms }");
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/").status, 200);
    assert!(eventually(|| origin.open_connections() == 0));
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_reply_that_breaks_off_in_its_head_is_no_reply() {
    let origin = Origin::with(|served| {
        if served.number == 0 {
            served.request();
            served.reply("first");
        }
        served.request();
        served.send("HTTP/1.1 200 OK\r\nContent-Len");
    });
    let gateway = Gateway::before(&origin);
    let mut client = gateway.client();
    assert_eq!(client.get("/").text(), "first");
    for _ in 0..2 {
        assert_eq!(client.get("/").status, 502);
    }
    let posted = client.ask("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(posted.status, 502);
}

#[test]
fn two_services_at_one_address_stay_apart() {
    let origin = Origin::echo();
    let address = origin.address();
    let gateway = Gateway::start(&format!(
        "listeners:\n  web: {{ address: \"127.0.0.1:0\" }}\n\
         services:\n  a: {{ endpoints: [\"{address}\"], host: {{ set: a.inner }} }}\n  \
           b: {{ endpoints: [\"{address}\"], host: {{ set: b.inner }} }}\n\
         routes:\n  a: {{ match: {{ path: \"/a\" }}, service: a }}\n  \
           b: {{ match: {{ path: \"/b\" }}, service: b }}\n"
    ));
    let mut client = gateway.client();
    for (path, host) in [("/a", "a.inner"), ("/b", "b.inner"), ("/a", "a.inner")] {
        assert_eq!(client.get(path).status, 200);
        assert_eq!(origin.last_request().field("host"), Some(host));
    }
}
