//! How requests are spread over endpoints and services.

use std::sync::{Arc, Barrier};

use portcullis_testkit::{Config, Gateway, Origin};

fn two_origins() -> (Origin, Origin) {
    (Origin::echo(), Origin::echo())
}

fn counts(a: &Origin, b: &Origin) -> (usize, usize) {
    (a.requests().len(), b.requests().len())
}

#[test]
fn round_robin_takes_turns() {
    let (a, b) = two_origins();
    let gateway = Gateway::start(&Config::before(&a).and(&b));
    for _ in 0..10 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_eq!(counts(&a, &b), (5, 5));
}

#[test]
fn weights_are_kept() {
    let (a, b) = two_origins();
    let config = Config::before(&a).to_string().replace(
        &format!("[\"{}\"]", a.address()),
        &format!("[{{ address: \"{}\", weight: 3 }}, \"{}\"]", a.address(), b.address()),
    );
    let gateway = Gateway::start(&config);
    for _ in 0..12 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_eq!(counts(&a, &b), (9, 3));
}

#[test]
fn an_endpoint_of_weight_0_gets_nothing() {
    let (a, b) = two_origins();
    let config = Config::before(&a).to_string().replace(
        &format!("[\"{}\"]", a.address()),
        &format!("[{{ address: \"{}\", weight: 0 }}, \"{}\"]", a.address(), b.address()),
    );
    let gateway = Gateway::start(&config);
    for _ in 0..6 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_eq!(counts(&a, &b), (0, 6));
}

#[test]
fn least_requests_avoids_the_busy_endpoint() {
    let busy = Arc::new(Barrier::new(2));
    let slow = Origin::with({
        let busy = busy.clone();
        move |served| {
            while let Some(request) = served.request() {
                if request.target == "/hold" {
                    busy.wait();
                    busy.wait();
                }
                served.reply("slow");
            }
        }
    });
    let quick = Origin::with(|served| {
        while let Some(request) = served.request() {
            served.reply(if request.target == "/hold" { "not held" } else { "quick" });
        }
    });
    let gateway = Gateway::start(&Config::before(&slow).and(&quick).service("balance: least_requests"));
    // Ask until the slow one holds a request.
    let mut held = gateway.client();
    loop {
        held.send("GET /hold HTTP/1.1\r\nHost: a.example\r\n\r\n");
        if portcullis_testkit::until(|| {
            let arrived = slow.requests().iter().any(|request| request.target == "/hold");
            let elsewhere = quick.requests().iter().any(|request| request.target == "/hold");
            (arrived || elsewhere).then_some(arrived)
        })
        .unwrap()
        {
            break;
        }
        assert_eq!(held.reply().text(), "not held");
    }
    busy.wait();
    for _ in 0..10 {
        assert_eq!(gateway.get("/").text(), "quick");
    }
    busy.wait();
    assert_eq!(held.reply().text(), "slow");
}

#[test]
fn a_split_keeps_its_shares() {
    let (a, b) = two_origins();
    let config = format!(
        "listeners:\n  web: {{ address: \"127.0.0.1:0\" }}\n\
         services:\n  a: {{ endpoints: [\"{}\"] }}\n  b: {{ endpoints: [\"{}\"] }}\n\
         routes:\n  all: {{ split: [{{ service: a, weight: 90 }}, {{ service: b, weight: 10 }}] }}\n",
        a.address(),
        b.address()
    );
    let gateway = Gateway::start(&config);
    let mut client = gateway.client();
    for _ in 0..1000 {
        assert_eq!(client.get("/").status, 200);
    }
    // Ten standard deviations of a fair draw: it fails when the shares are not kept, and only then.
    let (to_a, to_b) = counts(&a, &b);
    assert_eq!(to_a + to_b, 1000);
    assert!((5..=195).contains(&to_b), "{to_a} and {to_b}");
}

#[test]
fn a_service_without_endpoints_that_take_requests_is_503() {
    let origin = Origin::echo();
    let config = Config::before(&origin).to_string().replace(
        &format!("[\"{}\"]", origin.address()),
        &format!("[{{ address: \"{}\", weight: 0 }}]", origin.address()),
    );
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.get("/").status, 503);
}
