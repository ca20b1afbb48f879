//! What browsers are told: who may read replies, whose requests are refused, what pages may do.

mod cors;
mod security_headers;

use portcullis_testkit::{Client, Config, Gateway, Origin, Reply};

fn with_policies(origin: &Origin, policies: &str) -> Gateway {
    Gateway::start(&Config::before(origin).route(&format!("policies: [{policies}]")))
}

/// A request with these fields.
fn ask(client: &mut Client, line: &str, fields: &str) -> Reply {
    client.ask(format!("{line} HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n"))
}

/// Statuses of a `POST` with these fields, each on its own.
fn posts(gateway: &Gateway, fields: &[&str]) -> Vec<u16> {
    let mut client = gateway.client();
    fields.iter().map(|fields| ask(&mut client, "POST /x", fields).status).collect()
}

#[test]
fn requests_of_other_sites_are_refused() {
    let origin = Origin::echo();
    let allowed = "origins: [\"https://pay.example\", \"https://*.a.example\"]";
    let gateway = with_policies(&origin, &format!("csrf: {{ {allowed} }}"));
    let passed = [
        "",
        "Sec-Fetch-Site: same-origin\r\n",
        "Sec-Fetch-Site: none\r\n",
        "Sec-Fetch-Site: cross-site\r\nOrigin: https://pay.example\r\n",
        "Sec-Fetch-Site: same-site\r\nOrigin: https://b.a.example\r\n",
        "Origin: http://a.example\r\n",
        "Origin: https://a.example\r\n",
        "Origin: https://pay.example\r\n",
    ];
    assert_eq!(posts(&gateway, &passed), [200; 8]);
    let refused = [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: \r\n",
        "Sec-Fetch-Site: Same-Origin\r\n",
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: same-origin\r\n",
        "Sec-Fetch-Site: cross-site\r\nOrigin: http://a.example\r\n",
        "Origin: https://evil.example\r\n",
        "Origin: https://pay.example.evil.example\r\n",
        "Origin: null\r\n",
        "Origin: https://pay.example\r\nOrigin: https://evil.example\r\n",
        "Origin: http://a.example:8080\r\n",
    ];
    assert_eq!(posts(&gateway, &refused), [403; 11]);
    assert_eq!(origin.requests().len(), 8);

    // What changes nothing passes from anywhere; but a WebSocket is no page to read.
    let mut client = gateway.client();
    let foreign = "Sec-Fetch-Site: cross-site\r\n";
    assert_eq!(ask(&mut client, "GET /x", foreign).status, 200);
    let socket = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let reply = ask(&mut client, "GET /x", &format!("{foreign}{socket}"));
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("\"code\":\"cross_site\""), "{}", reply.text());
    let labels = |outcome| {
        format!("scope=\"route/all\",kind=\"csrf\",policy=\"csrf\",outcome=\"{outcome}\"")
    };
    let counted = |outcome| gateway.metric("portcullis_policy_requests_total", &labels(outcome));
    assert_eq!((counted("allowed"), counted("refused")), (8.0, 12.0));
}

#[test]
fn who_says_nothing_may_be_refused_as_well() {
    let origin = Origin::echo();
    let gateway = with_policies(&origin, "csrf: { unknown: refuse }");
    let fields = ["", "Sec-Fetch-Site: same-origin\r\n", "Origin: http://a.example\r\n"];
    assert_eq!(posts(&gateway, &fields), [403, 200, 200]);
    assert_eq!(gateway.get("/x").status, 200);
}

#[test]
fn counts_outlive_a_reload_and_a_narrower_scope_says_off() {
    let origin = Origin::echo();
    let config = |route: &str| {
        Config::before(&origin).route(&format!("policies: [{route}]")).also("policies: [csrf: on]")
    };
    let gateway = Gateway::start(&config(""));
    let foreign = ["Sec-Fetch-Site: cross-site\r\n"];
    let refused = || {
        let labels = "scope=\"global\",kind=\"csrf\",policy=\"csrf\",outcome=\"refused\"";
        gateway.metric("portcullis_policy_requests_total", labels)
    };
    assert_eq!(posts(&gateway, &foreign), [403]);
    gateway.write_config(&config("csrf: off"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(posts(&gateway, &foreign), [200]);
    gateway.write_config(&config("csrf: { unknown: refuse }"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(posts(&gateway, &foreign), [403]);
    assert_eq!(refused(), 1.0);
}
