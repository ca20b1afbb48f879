//! Fields that tell browsers what pages may do.

use portcullis_testkit::{Authority, Client, Config, Gateway, Origin, Reply, TempDir};

use super::with_policies;

const BARE: &str =
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: old/1.0\r\nX-Powered-By: PHP\r\n\r\nhi";

fn values<'r>(reply: &'r Reply, names: &[&str]) -> Vec<Option<&'r str>> {
    names.iter().map(|name| reply.field(name)).collect()
}

const NAMES: [&str; 5] = [
    "x-content-type-options",
    "x-frame-options",
    "content-security-policy",
    "referrer-policy",
    "strict-transport-security",
];

#[test]
fn every_reply_has_them() {
    let origin = Origin::replying(BARE);
    let config = Config::before(&origin)
        .route("match: { path: /x }")
        .also("policies: [security_headers: on]");
    let gateway = Gateway::start(&config);
    for (path, status) in [("/x", 200), ("/nowhere", 404)] {
        let reply = gateway.get(path);
        assert_eq!(reply.status, status);
        assert_eq!(
            values(&reply, &NAMES),
            [
                Some("nosniff"),
                Some("DENY"),
                Some("frame-ancestors 'none'"),
                Some("strict-origin-when-cross-origin"),
                None,
            ]
        );
        assert_eq!(values(&reply, &["server", "x-powered-by"]), [None, None]);
    }
}

#[test]
fn strict_transport_is_asked_for_over_tls_alone() {
    let origin = Origin::replying(BARE);
    let authority = Authority::new();
    let hsts = "security_headers: { hsts: { max_age: 2d, include_subdomains: true } }";
    let said = |reply: Reply| reply.field("strict-transport-security").map(str::to_owned);

    let dir = TempDir::new();
    let (cert, key) = authority.issue(&["a.example"]).write(&dir, "a");
    let gateway = Gateway::start(
        &Config::before(&origin)
            .listener(&format!("tls: {{ certificates: [{{ cert: {cert:?}, key: {key:?} }}] }}"))
            .route(&format!("policies: [{hsts}]")),
    );
    let mut client = Client::tls(gateway.address(), &authority.client("a.example")).unwrap();
    assert_eq!(said(client.get("/x")).unwrap(), "max-age=172800; includeSubDomains");

    // And where a proxy in front that is trusted says so.
    let gateway = Gateway::start(
        &Config::before(&origin)
            .listener("forwarded: { trusted: [\"127.0.0.1\"] }")
            .route(&format!("policies: [{hsts}]")),
    );
    let secure = "GET /x HTTP/1.1\r\nHost: a.example\r\nX-Forwarded-Proto: https\r\n\r\n";
    assert!(said(gateway.ask(secure)).is_some());
    assert!(said(gateway.get("/x")).is_none());
}

#[test]
fn what_the_service_says_stays_unless_it_is_replaced() {
    let origin = Origin::replying(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Frame-Options: SAMEORIGIN\r\nReferrer-Policy: origin\r\nServer: s\r\n\r\nhi",
    );
    let names = ["x-frame-options", "referrer-policy", "x-content-type-options", "server"];
    let kept = with_policies(&origin, "security_headers: { remove: [] }").get("/x");
    assert_eq!(
        values(&kept, &names),
        [Some("SAMEORIGIN"), Some("origin"), Some("nosniff"), Some("s")]
    );
    let replaced = with_policies(
        &origin,
        "security_headers: { replace: true, cross_origin_opener_policy: same-origin }",
    )
    .get("/x");
    assert_eq!(
        values(&replaced, &names),
        [Some("DENY"), Some("strict-origin-when-cross-origin"), Some("nosniff"), None]
    );
    assert_eq!(replaced.field("cross-origin-opener-policy"), Some("same-origin"));
    assert_eq!(replaced.fields.all("x-frame-options"), ["DENY"]);
}
