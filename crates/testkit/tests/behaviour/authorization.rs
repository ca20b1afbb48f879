//! Who may do what: lists, networks, times and expressions, asked when it is known who calls.

mod cel;
mod ext_authz;
mod rego;

use portcullis_policies::consumers::key::{KeyHasher, draw_key, prefix};
use portcullis_testkit::{Config, Gateway, Origin, Reply, eventually};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A gateway with policies on its route that knows `ann` of the group `staff` and `bob` of none, and
/// their keys.
struct Known {
    gateway: Gateway,
    ann: String,
    bob: String,
}

/// A new key, and what the configuration says of it.
fn key() -> (String, String) {
    let key = draw_key().unwrap();
    let shown = prefix(key.as_bytes()).unwrap();
    let shown = std::str::from_utf8(&shown).unwrap();
    let hash = KeyHasher::new(SECRET.as_bytes()).hash(key.as_bytes());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    (key.clone(), format!("keys: [{{ prefix: {shown}, hash: \"{hash}\" }}]"))
}

impl Known {
    fn with(origin: &Origin, policies: &str) -> Known {
        let ((ann, anns), (bob, bobs)) = (key(), key());
        let consumers = format!(
            "groups: {{ staff: {{}} }}\nconsumers:\n  ann: {{ groups: [staff], metadata: {{ team: blue }}, {anns} }}\n  bob: {{ {bobs} }}\n  guest: {{}}"
        );
        let route = format!("policies: [api_key: {{}}, anonymous: guest, {policies}]");
        let config = Config::before(origin)
            .route(&route)
            .also(&format!("credentials: {{ secret: {SECRET} }}"))
            .also(&consumers);
        Known { gateway: Gateway::start(&config), ann, bob }
    }

    fn ask(&self, line: &str, key: Option<&str>) -> Reply {
        let shown = key.map(|key| format!("X-API-Key: {key}\r\n")).unwrap_or_default();
        self.gateway.ask(format!("{line} HTTP/1.1\r\nHost: a.example\r\n{shown}\r\n"))
    }

    /// What `ann`, `bob` and somebody unknown get.
    fn statuses(&self, line: &str) -> [u16; 3] {
        [Some(&*self.ann), Some(&*self.bob), None].map(|key| self.ask(line, key).status)
    }
}

#[test]
fn lists_say_who_may_and_who_may_not() {
    let origin = Origin::echo();
    let known = Known::with(
        &origin,
        "access: { allow: [{ group: staff }, { consumer: [bob, guest], method: GET }], deny: [{ consumer: guest, method: [GET, POST] }] }",
    );
    assert_eq!(known.statuses("GET /x"), [200, 200, 403]);
    assert_eq!(known.statuses("POST /x"), [200, 403, 403]);
    assert_eq!(origin.requests().len(), 3);

    let refused = known.ask("POST /x", Some(&known.bob));
    assert_eq!(refused.field("content-type"), Some("application/problem+json"));
    let text = refused.text();
    assert!(text.contains("\"code\":\"forbidden\"") && !text.contains("bob"), "{text}");
    assert!(refused.field("www-authenticate").is_none() && !refused.closes());
    let lines = || known.gateway.logged_requests();
    let line = || lines().into_iter().rev().find(|line| line["consumer"] == "bob");
    assert!(eventually(|| line().is_some_and(|line| line["method"] == "POST")));
    let line = line().unwrap();
    assert_eq!((&line["error"], &line["policy"]), (&"forbidden".into(), &"access".into()));
    assert_eq!(line["detail"], "route/all/access/access: no allow");
    let labels = |outcome| {
        format!("scope=\"route/all\",kind=\"access\",policy=\"access\",outcome=\"{outcome}\"")
    };
    let counted =
        |outcome| known.gateway.metric("portcullis_policy_requests_total", &labels(outcome));
    assert_eq!((counted("allowed"), counted("refused")), (3.0, 4.0));
}

#[test]
fn networks_and_rules_of_all_scopes() {
    let origin = Origin::echo();
    let config = |route: &str| {
        Config::before(&origin)
            .listener("forwarded: { trusted: [\"127.0.0.1\"] }")
            .route(&format!("match: {{ path: /x }}, policies: [{route}]"))
            .service("policies: [access: { name: of-service, deny: [{ method: DELETE }] }]")
            .also("policies:\n  - access: { name: blocked, deny: [{ ip: [\"203.0.113.0/24\", \"2001:db8::/32\"] }] }")
    };
    let from = |gateway: &Gateway, line: &str, ip: &str| {
        let fields = format!("Host: a.example\r\nX-Forwarded-For: {ip}\r\n");
        gateway.ask(format!("{line} HTTP/1.1\r\n{fields}\r\n")).status
    };
    let gateway =
        Gateway::start(&config("access: { allow: [{ ip: [\"10.0.0.0/8\", \"2001:db8::/32\"] }] }"));
    assert_eq!(from(&gateway, "GET /x", "10.1.2.3"), 200);
    assert_eq!(from(&gateway, "GET /x", "11.1.2.3"), 403);
    assert_eq!(from(&gateway, "GET /x", "2001:db8::1"), 403);
    assert_eq!(from(&gateway, "DELETE /x", "10.1.2.3"), 403);
    // What no route takes is refused as well; others learn that there is nothing.
    assert_eq!(from(&gateway, "GET /nowhere", "203.0.113.9"), 403);
    assert_eq!(from(&gateway, "GET /nowhere", "10.1.2.3"), 404);

    // A rule takes the place of one of the same name in a wider scope.
    gateway.write_config(&config("access: { name: blocked, deny: [{ method: PUT }] }"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(from(&gateway, "GET /x", "2001:db8::1"), 200);
    assert_eq!(from(&gateway, "PUT /x", "10.1.2.3"), 403);
}

#[test]
fn who_may_not_counts_nowhere_and_hours_are_asked() {
    let origin = Origin::echo();
    let known = Known::with(
        &origin,
        "rate_limit: { limit: 1, per: 1h }, access: { allow: [{ group: staff }] }",
    );
    assert_eq!(known.statuses("GET /x"), [200, 403, 403]);
    assert_eq!(known.statuses("GET /x"), [429, 403, 403]);

    let always = "time: { hours: \"00:00-24:00\", time_zone: Europe/Berlin }";
    let open =
        Known::with(&origin, &format!("access: {{ allow: [{{ group: staff, {always} }}] }}"));
    assert_eq!(open.statuses("GET /x"), [200, 403, 403]);
    let closed = Known::with(&origin, &format!("access: {{ deny: [{{ {always} }}] }}"));
    assert_eq!(closed.statuses("GET /x"), [403; 3]);
}
