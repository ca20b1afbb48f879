//! Which route takes a request. The rules themselves are tested beside the router; here they are
//! seen from outside, over one gateway whose routes answer with their names.

use portcullis_testkit::{Client, Gateway, Reply};

/// A gateway with these routes, each a name and what it matches.
fn named(routes: &[(&str, &str)]) -> Gateway {
    let mut config = "listeners:\n  web:\n    address: \"127.0.0.1:0\"\n    \
        forwarded: { trusted: [\"127.0.0.0/8\"] }\nroutes:\n"
        .to_owned();
    for (name, rest) in routes {
        config += &format!("  {name}: {{ {rest}, reply: {{ status: 200, body: {name} }} }}\n");
    }
    Gateway::start(&config)
}

/// Asks with a request line and fields, one a line; the name of the route that took it.
fn taken_by(gateway: &Gateway, request: &str) -> String {
    let reply = ask(gateway, request);
    if reply.status == 200 { reply.text() } else { reply.status.to_string() }
}

fn ask(gateway: &Gateway, request: &str) -> Reply {
    let mut lines = request.lines().map(str::trim);
    let (method, target) = lines.next().unwrap().split_once(' ').unwrap();
    let fields: Vec<&str> = lines.collect();
    let host = if fields.iter().any(|field| field.starts_with("Host:")) {
        ""
    } else {
        "Host: a.example\r\n"
    };
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    gateway.ask(format!("{method} {target} HTTP/1.1\r\n{host}{fields}\r\n"))
}

fn expect(gateway: &Gateway, table: &[(&str, &str)]) {
    let wrong: Vec<String> = table
        .iter()
        .filter_map(|(request, expected)| {
            let got = taken_by(gateway, request);
            (got != *expected).then(|| format!("{request:?}: expected {expected}, got {got}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn hosts() {
    let gateway = named(&[
        ("exact", "match: { host: api.example }"),
        ("several", "match: { host: [one.example, two.example] }"),
        ("wild", "match: { host: \"*.example\" }"),
        ("deeper", "match: { host: \"*.shop.example\" }"),
        ("any", "match: { path: \"/any\" }"),
    ]);
    expect(
        &gateway,
        &[
            ("GET /\nHost: api.example", "exact"),
            ("GET /\nHost: API.Example:8080", "exact"),
            ("GET /\nHost: api.example.", "exact"),
            ("GET /\nHost: two.example", "several"),
            ("GET /\nHost: x.example", "wild"),
            ("GET /\nHost: x.y.example", "wild"),
            ("GET /\nHost: x.shop.example", "deeper"),
            ("GET /\nHost: example", "404"),
            ("GET /\nHost: xexample", "404"),
            ("GET /any\nHost: other.test", "any"),
            ("GET /any\nHost: [::1]:80", "any"),
        ],
    );
}

#[test]
fn paths() {
    let gateway = named(&[
        ("exact", "match: { path: \"/users\" }"),
        ("me", "match: { path: \"/users/me\" }"),
        ("user", "match: { path: \"/users/{id}\" }"),
        ("orders", "match: { path: \"/users/{id}/orders\" }"),
        ("files", "match: { path: \"/files/{*rest}\" }"),
        ("prefix", "match: { path: { prefix: \"/api\" } }"),
        ("regex", "match: { path: { regex: \"/v[0-9]+/.*\" } }"),
        ("several", "match: { path: [\"/one\", \"/two\"] }"),
    ]);
    expect(
        &gateway,
        &[
            ("GET /users", "exact"),
            ("GET /users/me", "me"),
            ("GET /users/7", "user"),
            ("GET /users/7/orders", "orders"),
            ("GET /users/me/orders", "orders"),
            ("GET /users/7/orders/1", "404"),
            ("GET /files", "files"),
            ("GET /files/", "files"),
            ("GET /files/a/b/c", "files"),
            ("GET /filesystem", "404"),
            ("GET /api", "prefix"),
            ("GET /api/", "prefix"),
            ("GET /api/x", "prefix"),
            ("GET /apix", "404"),
            ("GET /v1/x", "regex"),
            ("GET /v/x", "404"),
            ("GET /x/v1/x", "404"),
            ("GET /two", "several"),
            ("GET /users?x=/files/", "exact"),
        ],
    );
}

#[test]
fn paths_are_normalised_before_they_are_matched() {
    let gateway = named(&[
        ("admin", "match: { path: { prefix: \"/admin\" } }"),
        ("rest", "match: { path: \"/{*rest}\" }"),
    ]);
    expect(
        &gateway,
        &[
            ("GET /x/../admin", "admin"),
            ("GET /%61dmin/x", "admin"),
            ("GET //admin", "admin"),
            ("GET /./admin/", "admin"),
            ("GET /Admin", "rest"),
            ("GET /%2Fadmin", "rest"),
            ("GET /%2561dmin", "rest"),
            ("GET /../admin", "400"),
            ("GET /%zz", "400"),
            ("GET /a%00b", "400"),
        ],
    );
}

#[test]
fn the_policy_for_slashes_may_be_another() {
    let config = |policy: &str| {
        format!(
            "listeners:\n  web: {{ address: \"127.0.0.1:0\", path: {policy} }}\nroutes:\n  \
             admin: {{ match: {{ path: {{ prefix: \"/admin\" }} }}, reply: {{ status: 200, body: admin }} }}\n  \
             rest: {{ reply: {{ status: 200, body: rest }} }}\n"
        )
    };
    let decode = Gateway::start(&config("{ encoded_slash: decode }"));
    expect(&decode, &[("GET /admin%2Fx", "admin"), ("GET /x%2f..%2Fadmin", "admin")]);
    let reject = Gateway::start(&config("{ encoded_slash: reject }"));
    expect(&reject, &[("GET /x%2fy", "400"), ("GET /x/y", "rest")]);
    let keep = Gateway::start(&config("{ merge_slashes: false }"));
    expect(
        &keep,
        &[("GET //admin", "rest"), ("GET /admin//x", "admin"), ("GET /admin%2Fx", "rest")],
    );
}

#[test]
fn methods() {
    let gateway = named(&[
        ("read", "match: { path: \"/x\", methods: [GET] }"),
        ("write", "match: { path: \"/x\", methods: [POST, PUT] }"),
        ("any", "match: { path: \"/y\" }"),
    ]);
    expect(
        &gateway,
        &[("GET /x", "read"), ("POST /x", "write"), ("PUT /x", "write"), ("BREW /y", "any")],
    );
    let mut client = gateway.client();
    client.send("HEAD /x HTTP/1.1\r\nHost: a.example\r\n\r\n");
    assert_eq!(client.try_reply("HEAD").unwrap().status, 200, "GET implies HEAD");

    let reply = ask(&gateway, "DELETE /x");
    assert_eq!(reply.status, 405);
    let mut allow: Vec<&str> = reply.field("allow").unwrap().split(", ").collect();
    allow.sort_unstable();
    assert_eq!(allow, ["GET", "HEAD", "POST", "PUT"]);
    assert_eq!(reply.field("content-type"), Some("application/problem+json"));
}

#[test]
fn headers_queries_and_cookies() {
    let gateway = named(&[
        ("canary", "match: { headers: { x-env: canary } }"),
        ("present", "match: { headers: { x-debug: { present: true } } }"),
        ("numbered", "match: { headers: { x-build: { regex: \"[0-9]+\" } } }"),
        ("query", "match: { query: { debug: \"1\" } }"),
        ("cookie", "match: { cookies: { tier: gold } }"),
        ("nobody", "match: { path: \"/nobody\", headers: { user-agent: { present: false } } }"),
        ("rest", "match: { path: \"/{*rest}\" }"),
    ]);
    expect(
        &gateway,
        &[
            ("GET /\nX-Env: canary", "canary"),
            ("GET /\nx-ENV: canary", "canary"),
            ("GET /\nX-Env: other", "rest"),
            ("GET /\nX-Debug:", "present"),
            ("GET /\nX-Build: 123", "numbered"),
            ("GET /\nX-Build: 123a", "rest"),
            ("GET /?debug=1", "query"),
            ("GET /?a=b&debug=1", "query"),
            ("GET /?debug=10", "rest"),
            ("GET /?xdebug=1", "rest"),
            ("GET /\nCookie: a=b; tier=gold", "cookie"),
            ("GET /\nCookie: tier=golden", "rest"),
            ("GET /nobody", "nobody"),
            ("GET /nobody\nUser-Agent: curl", "rest"),
        ],
    );
}

#[test]
fn clients() {
    let gateway = named(&[
        ("office", "match: { client: [\"203.0.113.0/24\", \"2001:db8::/32\"] }"),
        ("rest", "match: { path: \"/{*rest}\" }"),
    ]);
    expect(
        &gateway,
        &[
            ("GET /", "rest"),
            ("GET /\nX-Forwarded-For: 203.0.113.7", "office"),
            ("GET /\nX-Forwarded-For: 2001:db8::1", "office"),
            ("GET /\nX-Forwarded-For: 198.51.100.1", "rest"),
            ("GET /\nX-Forwarded-For: 203.0.113.7, 198.51.100.1", "rest"),
        ],
    );
}

#[test]
fn priority_beats_everything_and_precision_the_rest() {
    let gateway = named(&[
        ("urgent", "match: { headers: { x-urgent: { present: true } } }, priority: 10"),
        ("late", "match: { path: \"/exact/late\" }, priority: -1"),
        ("exact", "match: { path: \"/exact/path\" }"),
        ("param", "match: { path: \"/exact/{x}\" }"),
        ("post", "match: { path: \"/exact/path\", methods: [POST] }"),
        ("header", "match: { path: \"/exact/path\", headers: { x-a: b } }"),
        (
            "host",
            "match: { host: a.example, path: \"/{*rest}\", headers: { x-host: { present: true } } }",
        ),
    ]);
    expect(
        &gateway,
        &[
            ("GET /exact/path", "exact"),
            ("GET /exact/other", "param"),
            ("GET /exact/late", "param"),
            ("POST /exact/path", "post"),
            ("GET /exact/path\nX-A: b", "header"),
            ("GET /exact/path\nX-Urgent: 1", "urgent"),
            ("GET /exact/path\nX-Host: 1", "host"),
            ("GET /nothing", "404"),
        ],
    );
}

#[test]
fn listeners() {
    let config = |plain: &str| {
        format!(
            "listeners:\n  web: {{ address: \"127.0.0.1:0\" }}\n  \
             {plain}: {{ address: \"127.0.0.1:0\" }}\nroutes:\n  \
             inside:\n    match: {{ listener: web, path: \"/inside\", methods: [GET] }}\n    \
             reply: {{ body: inside }}\n  \
             to-https:\n    match: {{ listener: [plain], path: \"/{{*rest}}\" }}\n    \
             redirect: {{ to: \"https://a.example/{{rest}}?{{query}}\" }}\n    priority: 1\n  \
             page:\n    match: {{ path: \"/page\" }}\n    reply: {{ body: page }}\n"
        )
    };
    let gateway = Gateway::start(&config("plain"));
    expect(&gateway, &[("GET /page", "page"), ("GET /inside", "inside"), ("PUT /inside", "405")]);
    let mut plain = Client::connect(gateway.address_of("plain"));
    for (target, location) in [
        ("/page", "https://a.example/page"),
        ("/inside?q=1", "https://a.example/inside?q=1"),
        ("/", "https://a.example/"),
    ] {
        let reply = plain.get(target);
        assert_eq!((reply.status, reply.field("location")), (308, Some(location)), "{target}");
    }

    // A route may not be left with a listener that is gone: the reload is refused.
    gateway.write_config(&config("renamed"));
    let refused = gateway.reload();
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("there is no listener `plain`"), "{}", refused.text());
    assert_eq!(plain.get("/page").status, 308);
}
