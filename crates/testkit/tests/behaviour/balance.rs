//! How requests are spread over endpoints and services.

mod spread;
mod steering;

use portcullis_testkit::{Config, Gate, Gateway, Origin, eventually};

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
    let held = Gate::new();
    let holding = || {
        let held = held.clone();
        Origin::with(move |served| {
            while let Some(request) = served.request() {
                if request.target == "/hold" {
                    held.pass();
                }
                served.reply("ok");
            }
        })
    };
    let (a, b) = (holding(), holding());
    let gateway = Gateway::start(&Config::before(&a).and(&b).service("balance: least_requests"));
    let mut client = gateway.client();
    client.send("GET /hold HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert!(eventually(|| counts(&a, &b) != (0, 0)));
    let expected = if counts(&a, &b) == (1, 0) { (1, 10) } else { (10, 1) };
    for _ in 0..10 {
        assert_eq!(gateway.get("/").text(), "ok");
    }
    assert_eq!(counts(&a, &b), expected);
    held.open();
    assert_eq!(client.reply().text(), "ok");
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
