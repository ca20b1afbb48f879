//! What is reported, and where.

use super::*;

fn route(text: &str) -> String {
    format!(
        "listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\nservices: {{ users: {{ endpoints: [\"h:1\"] }} }}\nroutes:\n  r: {{ {text} }}\n"
    )
}

/// The only fault of a route, without its place.
fn of_route(text: &str) -> String {
    only(&route(text))
}

fn of_service(text: &str) -> String {
    only(&format!(
        "listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\nservices: {{ s: {{ {text} }} }}\n"
    ))
}

fn of_listener(text: &str) -> String {
    only(&format!("listeners: {{ w: {{ {text} }} }}\n"))
}

pub(super) fn only(text: &str) -> String {
    let mut faults = bad(text);
    assert_eq!(faults.len(), 1, "{text}: {faults:?}");
    let fault = faults.remove(0);
    fault.split_once(' ').map_or(fault.clone(), |(_, message)| message.to_owned())
}

#[test]
fn all_faults_at_once_each_in_its_place() {
    let text = "\
listeners:
  web:
    adress: \"0.0.0.0:80\"
    timeouts: { head: 5, idel: 1s }
  two: { address: localhost:80 }
services:
  users: { endpoints: [\"h:1\", nonsense], balanse: x }
routes:
  a:
    match: { path: [x, \"/ok\"], methods: get }
    service: user
  b: { service: users, reply: {} }
  c: { match: { path: /c } }
workers: many
rooutes: {}
";
    assert_eq!(
        bad(text),
        [
            "3:5 unknown key `adress`",
            "4:23 invalid value: `5`",
            "4:26 unknown key `idel`",
            "5:19 `localhost:80` is no address to listen on",
            "7:31 `nonsense` is no address of an endpoint",
            "7:42 unknown key `balanse`",
            "10:21 `x` is no path",
            "10:41 `get` is no known method: case counts",
            "12:31 a route has either `service` or `reply`, not both",
            "13:3 the route `c` does nothing",
            "14:10 wrong type: a string",
            "15:1 unknown key `rooutes`",
        ]
    );
}

#[test]
fn rendered_with_snippet_and_hint() {
    let report = yaml(&route("servce: users")).load().unwrap_err();
    let text = report.render(false);
    assert!(text.contains("error: unknown key `servce`"), "{text}");
    assert!(text.contains("--> gate.yaml:4:8"), "{text}");
    assert!(text.contains("4 |   r: { servce: users }"), "{text}");
    assert!(text.contains("did you mean `service`?"), "{text}");
    assert_eq!(report.errors(), 1, "nothing follows from it: {text}");
    let report = yaml(&route("service: user")).load().unwrap_err();
    assert!(report.render(false).contains("did you mean `users`?"));
}

#[test]
fn listeners_that_routes_name_must_be_there() {
    let text = "\
listeners: { web: { address: \"127.0.0.1:0\" }, inside: { address: \"127.0.0.1:0\" } }
routes:
  a: { match: { listener: web }, reply: {} }
  b: { match: { listener: [inside, wep] }, reply: {} }
  c:
    match: { listener: outside, path: /c }
    reply: {}
  d: { match: { listener: \"${NAME}\", path: /d }, reply: {} }
";
    let report = yaml(text).environment(|_| Some("hidden".into())).load().unwrap_err();
    assert_eq!(
        lines(&report),
        [
            "4:36 there is no listener `wep`",
            "6:24 there is no listener `outside`",
            "8:27 there is no listener of the name that this reference brings in",
        ]
    );
    assert!(report.render(false).contains("did you mean `web`?"));
    assert_eq!(of_route("match: { listener: [] }, reply: {}"), "`match.listener` is an empty list");
}

#[test]
fn routes() {
    assert_eq!(
        of_route("match: { path: /a/../b }, reply: {}"),
        "in the path `/a/../b`, a segment is `.` or `..`"
    );
    assert_eq!(
        of_route("match: { path: /a//b }, reply: {}"),
        "in the path `/a//b`, a segment is empty"
    );
    assert_eq!(
        of_route("match: { path: \"/a?b\" }, reply: {}"),
        "in the path `/a?b`, there is a `?` or `#`"
    );
    assert_eq!(
        of_route("match: { path: \"/{a}/{a}\" }, reply: {}"),
        "in the path `/{a}/{a}`, the parameter `a` is here twice"
    );
    assert_eq!(
        of_route("match: { path: \"/{*a}/b\" }, reply: {}"),
        "in the path `/{*a}/b`, `{*...}` is not the last segment"
    );
    assert_eq!(
        of_route("match: { path: { prefix: \"/{*a}\" } }, reply: {}"),
        "`/{*a}` is no prefix"
    );
    assert_eq!(
        of_route("match: { path: \"/{query}\" }, reply: {}"),
        "a parameter cannot be named `query`"
    );
    assert!(
        of_route("match: { path: { regex: \"a)|(b\" } }, reply: {}")
            .starts_with("this regular expression cannot be used: unopened")
    );
    assert!(
        of_route("match: { path: { regex: \"(a{1000}){1000}\" } }, reply: {}")
            .contains("needs more than")
    );
    assert_eq!(
        of_route("match: { path: { regex: a, prefix: /b } }, reply: {}"),
        "a path is either `{ prefix: ... }` or `{ regex: ... }`"
    );
    assert_eq!(of_route("match: { path: [] }, reply: {}"), "`match.path` is an empty list");
    assert_eq!(of_route("match: { host: \"a:80\" }, reply: {}"), "`a:80` is no host");
    assert_eq!(of_route("match: { host: \"*\" }, reply: {}"), "`*` is no host");
    assert_eq!(of_route("match: { host: \"a.*.b\" }, reply: {}"), "`a.*.b` is no host");
    assert_eq!(
        of_route("match: { methods: CONNECT }, reply: {}"),
        "`CONNECT` is never let in, so no route can take it"
    );
    assert_eq!(
        of_route("match: { headers: { \"a b\": x } }, reply: {}"),
        "`a b` is no header name"
    );
    assert_eq!(of_route("match: { headers: { A: x, a: y } }, reply: {}"), "`a` is here twice");
    assert_eq!(
        of_route("match: { headers: { host: x } }, reply: {}"),
        "a route matches the host by `match.host`, not as a header"
    );
    assert_eq!(of_route("match: { query: { a: 1 } }, reply: {}"), "wrong type: an integer");
    assert_eq!(
        of_route("match: { cookies: { \"a=\": x } }, reply: {}"),
        "`a=` is no name of a cookie"
    );
    assert_eq!(
        of_route("match: { client: 10.0.0.1/8 }, reply: {}"),
        "`10.0.0.1/8` has bits set behind its prefix"
    );
    assert_eq!(of_route("match: { client: home }, reply: {}"), "`home` is no network");
    assert_eq!(
        of_route("split: [{ service: users, weight: 0 }]"),
        "no service of this split has a weight above 0"
    );
    assert_eq!(
        of_route("split: [{ service: users, weight: 1 }, { service: users, weight: 2 }]"),
        "the service `users` is in this split twice"
    );
    assert_eq!(of_route("split: [{ service: users, weight: -1 }]"), "invalid value: `-1`");
    assert_eq!(of_route("redirect: { to: /x, status: 304 }"), "304 is no status for a redirect");
    assert_eq!(of_route("redirect: { to: x }"), "`x` is no location to redirect to");
    assert_eq!(
        of_route("match: { path: \"/{id}\" }, redirect: { to: \"/{ib}\" }"),
        "no parameter `ib` in the path of this route"
    );
    assert_eq!(
        of_route("match: { path: [\"/{id}\", /x] }, redirect: { to: \"/{id}\" }"),
        "no parameter `id` in the path of this route"
    );
    assert_eq!(of_route("reply: { status: 199 }"), "199 is no status for a reply");
    assert_eq!(of_route("reply: { status: 204, body: x }"), "a reply of status 204 has no content");
    assert_eq!(
        of_route("reply: { headers: { Content-Length: \"1\" } }"),
        "`content-length` cannot be set: the gateway frames the reply itself"
    );
    assert_eq!(
        of_route("reply: { headers: { x: \"a\\r\\nb: c\" } }"),
        "the value of `x` is not legal in a header"
    );
    assert_eq!(
        of_route("reply: { file: /nonexistent/x }"),
        "the file `/nonexistent/x` cannot be read: there is no such file"
    );
    assert_eq!(
        of_route("reply: {}, rewrite: { host: x }"),
        "a route with `reply` has nothing to rewrite"
    );
    assert_eq!(
        of_route("service: users, rewrite: { path: /x, strip_prefix: /y }"),
        "a rewrite has either `path` or `strip_prefix`, not both"
    );
    assert_eq!(
        of_route("service: users, rewrite: { path: \"/x?y\" }"),
        "`/x?y` is no path to rewrite to"
    );
    assert_eq!(
        of_route("match: { path: /a }, service: users, rewrite: { strip_prefix: /b }"),
        "no path of this route begins with `/b`"
    );
    assert_eq!(
        of_route("service: users, rewrite: { host: \"a b\" }"),
        "`a b` cannot be sent as `Host`"
    );
    assert_eq!(
        of_route("service: users, timeouts: { connect: 0s }"),
        "a duration of zero makes no sense here"
    );
    assert_eq!(of_route("service: users, priority: 9999999999"), "invalid value: `9999999999`");
}

#[test]
fn services() {
    assert_eq!(of_service("endpoints: []"), "the service `s` has no endpoints");
    assert_eq!(of_service("balance: round_robin"), "`endpoints` is missing");
    assert_eq!(of_service("endpoints: [\"h:1\", \"h:1\"]"), "the endpoint `h:1` is here twice");
    assert_eq!(of_service("endpoints: [\"h\"]"), "`h` is no address of an endpoint");
    assert_eq!(
        of_service("endpoints: [\"http://h:1\"]"),
        "`http://h:1` is no address of an endpoint"
    );
    assert_eq!(of_service("endpoints: [\"h:0\"]"), "`h:0` is no address of an endpoint");
    assert_eq!(of_service("endpoints: [\"h:+1\"]"), "`h:+1` is no address of an endpoint");
    assert_eq!(of_service("endpoints: [\"::1:80\"]"), "`::1:80` is no address of an endpoint");
    assert_eq!(of_service("endpoints: [\"1.2.3.4:0\"]"), "port 0 is no port to connect to");
    assert_eq!(
        of_service("endpoints: [{ address: \"h:1\", weight: 1001 }]"),
        "a weight is at most 1000"
    );
    assert_eq!(
        of_service("endpoints: [{ address: \"h:1\", weight: 0 }]"),
        "the service `s` takes no requests"
    );
    assert_eq!(of_service("endpoints: [\"h:1\"], balance: random"), "`random` is not known here");
    assert_eq!(of_service("endpoints: [\"h:1\"], host: preserv"), "`preserv` is not known here");
    assert_eq!(
        of_service("endpoints: [\"h:1\"], tls: { ca: /nonexistent }"),
        "the file `/nonexistent` cannot be read: there is no such file"
    );
    assert_eq!(
        of_service("endpoints: [\"h:1\"], tls: { server_name: \"a:b\" }"),
        "`a:b` is no server name"
    );
    assert_eq!(
        of_service("endpoints: [\"h:1\"], timeouts: { total: 0s }"),
        "a duration of zero makes no sense here"
    );
    assert_eq!(of_service("endpoints: [\"h:1\"], pool: { idle_timeout: 5 }"), "invalid value: `5`");
    assert_eq!(
        only(
            "listeners: { w: { address: \"127.0.0.1:0\" } }\nservices: { \"a b\": { endpoints: [\"h:1\"] } }\n"
        ),
        "`a b` is no name"
    );
}

#[test]
fn listeners() {
    assert_eq!(of_listener("address: \":80\""), "`:80` is no address to listen on");
    assert_eq!(of_listener("address: \"unix:\""), "the path of the Unix socket is missing");
    assert_eq!(
        of_listener("address: \"127.0.0.1:0\", tls: { certificates: [] }"),
        "TLS needs at least one certificate"
    );
    assert_eq!(of_listener("address: \"127.0.0.1:0\", tls:"), "`certificates` is missing");
    assert_eq!(
        of_listener("address: \"127.0.0.1:0\", forwarded: { hops: 1, trusted: [\"::1\"] }"),
        "trust is either `trusted` or `hops`, not both"
    );
    assert_eq!(
        of_listener("address: \"127.0.0.1:0\", forwarded: { hops: 300 }"),
        "invalid value: `300`"
    );
    assert_eq!(
        of_listener("address: \"127.0.0.1:0\", forwarded: { via: \"a b\" }"),
        "this cannot stand in `Via`"
    );
    assert_eq!(
        of_listener("address: \"127.0.0.1:0\", limits: { fields: 0 }"),
        "a limit of 0 lets nothing in"
    );
    for (pace, fault) in [
        ("limit: 0, per: 1s", "a limit of zero lets nobody in"),
        ("limit: 1, per: 40d", "a rate limit counts over `1ms` to `31d`"),
        ("limit: 1, per: 1s, burst: 0", "a limit of zero lets nobody pass"),
        ("limit: 1", "`per` is missing"),
    ] {
        let rate = format!("connection_rate: {{ total: {{ {pace} }} }}");
        let listener = format!("address: \"127.0.0.1:0\", limits: {{ {rate} }}");
        assert_eq!(of_listener(&listener), fault);
    }
    assert_eq!(
        of_listener("address: \"127.0.0.1:0\", limits: { uri: 8kib }"),
        "invalid value: `8kib`"
    );
    assert_eq!(
        of_listener("address: \"127.0.0.1:0\", timeouts: { head: 0s }"),
        "a duration of zero makes no sense here"
    );
    assert_eq!(only("routes: {}\n"), "there is no listener");
    assert_eq!(only(""), "there is no listener");
    let two =
        "listeners:\n  a: { address: \"127.0.0.1:80\" }\n  b: { address: \"127.0.0.1:80\" }\n";
    assert_eq!(bad(two), ["3:17 the listener `b` wants an address that is taken"]);
    let admin =
        "listeners: { a: { address: \"127.0.0.1:80\" } }\nadmin: { address: \"127.0.0.1:80\" }\n";
    assert_eq!(bad(admin), ["1:28 the listener `a` wants an address that is taken"]);
    assert_eq!(only("listeners: [a]\n"), "wrong type: a list");
    assert_eq!(only("- a\n"), "a configuration is a map");
}

#[test]
fn certificates_are_read() {
    let folder = Folder::new("pem");
    folder.write("c.pem", "-----BEGIN CERTIFICATE-----\n");
    folder.write("k.pem", "-----BEGIN EC PRIVATE KEY-----\n");
    let text = |cert: &str| {
        format!(
            "listeners: {{ w: {{ address: \"127.0.0.1:0\", tls: {{ certificates: [{{ cert: {cert}, key: k.pem }}], min_version: 1.3 }} }} }}\n"
        )
    };
    let path = folder.write("gate.yaml", &text("c.pem"));
    let mut loader = Loader::new(&path);
    let loaded = loader.load().unwrap();
    let tls = loaded.config.listeners["w"].tls.clone().unwrap();
    assert_eq!(tls.choices.versions, crate::model::TlsVersions::Only13);
    assert_eq!(tls.certificates[0].cert.path, folder.0.join("c.pem"));
    assert_eq!(loaded.watch.len(), 3);
    folder.write("c.pem", "-----BEGIN CERTIFICATE-----\nnew\n");
    assert_eq!(loader.load().unwrap().changes.listeners.changed.len(), 1);
    folder.write("gate.yaml", &text("k.pem"));
    assert!(
        loader.load().unwrap_err().render(false).contains("there is no certificate in this file")
    );
}

#[test]
fn secrets_are_never_shown() {
    let text = route(
        "match: { host: \"${S}\", path: [\"${S}\", { regex: \"(${S}\" }], methods: \"${S} \", client: \"${S}\" }, service: \"${S}\", timeouts: { total: \"${S}\" }, priority: \"${S}\"",
    ) + "workers: ${S}\nshutdown: { deadline: \"${S}\" }\nadmin: { address: \"${S}\" }\nmetrics: ${S}\n";
    let report = yaml(&text).environment(|_| Some("hunter2/secret".into())).load().unwrap_err();
    assert!(report.errors() >= 8, "{report}");
    assert!(!report.render(false).contains("hunter2"), "{report}");
    assert!(!serde_json::to_string(&report).unwrap().contains("hunter2"));
    let services = "listeners: { w: { address: \"${S}\", forwarded: { trusted: [\"${S}\"], via: \"a ${S}\" } } }\nservices: { s: { endpoints: [\"${S}\", { address: \"${S}\" }], balance: \"${S}\", host: \"${S}\", tls: { server_name: \"${S}\", ca: \"${S}\" } } }\nroutes: { r: { redirect: { to: \"${S}\" } }, t: { reply: { headers: { a: \"${S}\\n\" }, file: \"${S}\" } }, u: { match: { path: /u }, service: \"${S}\" } }\n";
    let report = yaml(services).environment(|_| Some("hunter2{x}".into())).load().unwrap_err();
    assert!(report.errors() >= 8, "{report}");
    assert!(!report.render(false).contains("hunter2"), "{report}");
}

#[test]
fn references_give_numbers_and_booleans() {
    let text =
        "listeners: { w: { address: \"${HOST}:0\" } }\nworkers: ${N}\nmetrics: ${B:-false}\n";
    let mut loader = yaml(text).environment(|name| match name {
        "HOST" => Some("127.0.0.1".into()),
        "N" => Some("3".into()),
        _ => None,
    });
    let process = loader.load().unwrap().config.process.clone();
    assert_eq!((process.workers, process.metrics), (3, false));
    let report = yaml(text).environment(|_| None).load().unwrap_err();
    let messages: Vec<_> = report.faults().iter().map(|fault| fault.message.as_str()).collect();
    assert_eq!(
        messages,
        ["the environment variable `HOST` is not set", "the environment variable `N` is not set"]
    );
}

#[test]
fn keys_that_are_there_twice() {
    let text = "listeners:\n  w: { address: \"127.0.0.1:0\" }\n  w: { address: \"127.0.0.1:0\" }\n";
    assert_eq!(bad(text), ["3:3 the key `w` is here twice"]);
    assert_eq!(
        bad("listeners: { w: { address: \"127.0.0.1:0\" } }\nlisteners: {}\n"),
        ["2:1 the key `listeners` is here twice"]
    );
    assert_eq!(
        bad("listeners: { w: { address: \"127.0.0.1:0\" } }\nworkers: 1\nworkers: 2\n"),
        ["3:1 the key `workers` is here twice"]
    );
}

#[test]
fn broken_syntax_has_its_place_and_no_followers() {
    assert_eq!(bad("listeners:\n  w: { address: [\n").len(), 1);
    assert!(bad("listeners:\n  w: { address: \"a }\n")[0].contains("this is not YAML"));
    let report = Loader::from_text("x.json", "{\"listeners\": }", Format::Json).load().unwrap_err();
    assert_eq!(report.faults()[0].places[0].to_string(), "x.json:1:15");
    assert_eq!(report.errors(), 1);
}

#[test]
fn a_new_process_needs_some_time() {
    assert_eq!(
        only("listeners: { w: { address: \"127.0.0.1:0\" } }\nupgrade: { timeout: 0s }\n"),
        "a new process needs some time"
    );
}

#[test]
fn what_others_call_a_protocol_leads_to_ours() {
    for (word, meant) in [
        ("h2", "http2"),
        ("h2c", "http2"),
        ("gRPC", "http2"),
        ("grpc", "http2"),
        ("http", "http1"),
        ("https", "http1"),
    ] {
        let text = format!(
            "listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\nservices: {{ s: {{ endpoints: [\"h:1\"], protocol: {word} }} }}\n"
        );
        let report = yaml(&text).load().unwrap_err();
        let help = report.faults()[0].help.clone();
        assert_eq!(help, Some(format!("did you mean `{meant}`?")), "{word}");
    }
}

#[test]
fn http2_may_be_switched_on_in_so_many_words() {
    for word in ["on", "true", "{}"] {
        let text = format!("listeners: {{ w: {{ address: \"127.0.0.1:0\", http2: {word} }} }}\n");
        assert!(yaml(&text).load().unwrap().config.listeners["w"].http2.is_some(), "{word}");
    }
    let text = "listeners: { w: { address: \"127.0.0.1:0\", http2: yes } }\n";
    let report = yaml(text).load().unwrap_err();
    assert!(report.render(false).contains("expected `on`, `off` or a map"), "{report}");
}

#[test]
fn penalties_are_short() {
    let http2 =
        |text| format!("listeners: {{ w: {{ address: \"127.0.0.1:0\", http2: {text} }} }}\n");
    for text in ["{ penalty: 50ms }", "{ penalty: 2m }", "{ penalty: 0 }"] {
        assert_eq!(only(&http2(text)), "connections are not held back for so long", "{text}");
    }
    let penalty =
        |text| yaml(&http2(text)).load().unwrap().config.listeners["w"].http2.unwrap().penalty;
    assert_eq!(penalty("{ penalty: off }"), None);
    assert_eq!(penalty("{ penalty: 1m }"), Some(std::time::Duration::from_secs(60)));
    assert_eq!(penalty("{}"), Some(std::time::Duration::from_secs(1)));
}
