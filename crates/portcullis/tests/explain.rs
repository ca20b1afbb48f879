//! `portcullis explain` as a shell sees it: what it prints and how it ends.
#[cfg(test)]
mod explain {
    use std::path::Path;
    use std::process::{Command, Output};
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use serde_json::{Value, json};

    const CONFIG: &str = r#"listeners:
  web:
    address: "127.0.0.1:8000"
    forwarded: { trusted: ["10.0.0.0/8"] }
    path: { encoded_slash: reject }
  internal: { address: "127.0.0.1:8001", limits: { uri: 20 } }
services:
  users:
    endpoints: ["10.1.0.1:80", { address: "10.1.0.2:80", weight: 3 }]
    host: endpoint
    timeouts: { connect: 2s }
  next: { endpoints: ["next.example:443"], tls: { server_name: n.example } }
routes:
  user:
    match: { host: api.example, path: "/users/{id}", methods: [GET] }
    split: [ { service: users, weight: 3 }, { service: next, weight: 1 } ]
    rewrite: { strip_prefix: /users }
    timeouts: { total: 5s }
  near: { match: { path: { prefix: /users }, client: ["192.0.2.0/24"] }, service: users }
  old: { match: { path: "/old/{*rest}" }, redirect: { to: "/users/{rest}", status: 302 } }
  hi: { match: { path: /hi }, reply: { status: 200, headers: { x-a: b }, body: hello } }
"#;

    /// Asks about a request to the gateway of `CONFIG`.
    fn explain(arguments: &[&str]) -> Output {
        explain_with(CONFIG, arguments)
    }

    fn explain_with(config: &str, arguments: &[&str]) -> Output {
        static FOLDERS: AtomicUsize = AtomicUsize::new(0);
        let folder = format!("explain-{}", FOLDERS.fetch_add(1, Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("gw.yaml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
        command.current_dir(folder).args(["explain", "-c", "gw.yaml"]).args(arguments);
        command.output().unwrap()
    }

    /// The text of an explanation that ended with this status.
    fn told(status: i32, arguments: &[&str]) -> String {
        let output = explain(arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        let faults = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{text}{faults}");
        text
    }

    #[track_caller]
    fn assert_lines(text: &str, lines: &[&str]) {
        let mut rest = text.lines();
        for line in lines {
            assert!(rest.any(|other| other == *line), "{line:?} is not, or not here, in\n{text}");
        }
    }

    #[test]
    fn what_comes_before_http_is_told_where_it_applies() {
        let config = r#"listeners:
  web:
    address: "127.0.0.1:8000"
    proxy_protocol: { trusted: ["10.0.0.0/8"] }
services:
  h2: { endpoints: ["10.1.0.1:80"], protocol: http2 }
  p: { endpoints: ["10.1.0.1:80"], proxy_protocol: v2 }
routes:
  two: { match: { path: /two }, service: h2 }
  p: { match: { path: /p }, service: p }
"#;
        let told = |arguments: &[&str]| {
            let output = explain_with(config, arguments);
            String::from_utf8(output.stdout).unwrap()
        };
        let text = told(&["GET", "/two"]);
        assert_lines(
            &text,
            &[
                "           PROXY header: needed, from 10.0.0.0/8; others are refused; the client is who it names",
                "           HTTP/2, by prior knowledge",
            ],
        );
        let upgrade = ["-H", "connection: upgrade", "-H", "upgrade: websocket", "GET", "/two"];
        assert!(told(&upgrade).contains("becomes an extended CONNECT"), "{}", told(&upgrade));
        assert!(told(&["GET", "/p"]).contains("begins with a PROXY header (v2)"));
        let facts: Value = serde_json::from_str(&told(&["--format", "json", "GET", "/p"])).unwrap();
        let service = &facts["routed"]["forward"]["services"][0]["connection"];
        assert_eq!(service["proxy_protocol"], json!(2));
        assert_eq!(facts["listener"]["connection"]["proxy_protocol"], json!(["10.0.0.0/8"]));
    }

    #[test]
    fn a_connection_of_bytes_is_told_by_its_name() {
        let config = r#"listeners:
  db: { address: "127.0.0.1:5432", protocol: tls_passthrough }
  raw: { address: "127.0.0.1:5433", protocol: tcp }
services:
  a: { endpoints: ["10.1.0.1:5432"], proxy_protocol: v1 }
  b: { endpoints: ["10.1.0.2:5432"] }
tcp_routes:
  named: { listener: db, sni: ["*.db.example"], service: a, timeouts: { idle: 5m } }
  all: { listener: raw, service: b }
"#;
        let told = |status: i32, arguments: &[&str]| {
            let output = explain_with(config, arguments);
            let text = String::from_utf8(output.stdout).unwrap();
            let faults = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(status), "{text}{faults}");
            text
        };
        assert_lines(
            &told(0, &["CONNECT", "tls://One.db.example:5432"]),
            &[
                "listener   db (gw.yaml:2:3): tls_passthrough on 127.0.0.1:5432; its port is the URL's",
                "name       one.db.example, as its TLS asks for (SNI)",
                "tcp route  named (gw.yaml:8:3) takes it: the name is one of its `sni`",
                "service    a (gw.yaml:5:3): 100 % of connections",
                "           each connection begins with a PROXY header (v1) and serves one client alone",
                "             10.1.0.1:5432  weight 1  100 %",
            ],
        );
        assert!(told(3, &["CONNECT", "tls://x.example:5432"]).contains("none takes it"));
        let raw = told(0, &["--listener", "raw", "CONNECT", "tcp://x.example"]);
        assert!(raw.contains("all (gw.yaml:9:3) takes it: it takes what no other does"), "{raw}");
    }

    #[test]
    fn a_forwarded_request_is_told_in_the_order_of_its_way() {
        let text = told(0, &["GET", "http://api.example:8000/x/../users/7?a=b"]);
        assert_lines(
            &text,
            &[
                "request    GET /x/../users/7?a=b for host api.example:8000",
                "listener   web (gw.yaml:2:3): http on 127.0.0.1:8000; its scheme and port are the URL's",
                "           limits: target 17 of 8192 bytes; 1 of 100 fields, 26 of 32768 bytes",
                "path       /x/../users/7 -> /users/7",
                "client     127.0.0.1: the connection's peer, which is not in `trusted`",
                "route      user (gw.yaml:14:3) takes it",
                "           host: api.example, path: /users/{id}",
                "           {id} = 7",
                "           not near (gw.yaml:19:3), path prefix /users: rejected: client is in none of the networks",
                "policies   none",
                "forward    GET /7?a=b",
                "service    users (gw.yaml:8:3): 75 % of requests, plain HTTP",
                "           connect 2s (service), first_byte 60s (service), stall 60s (service), total 5s (route)",
                "             10.1.0.1:80  weight 1     25 %  Host: 10.1.0.1:80",
                "             10.1.0.2:80  weight 3     75 %  Host: 10.1.0.2:80",
                "service    next (gw.yaml:12:3): 25 % of requests, TLS, verified as n.example",
                "             next.example:443  weight 1     100 %  Host: api.example:8000",
            ],
        );
    }

    #[test]
    fn an_upgrade_is_told_with_the_timeout_of_its_tunnel() {
        let upgrade = ["-H", "Connection: upgrade", "-H", "Upgrade: websocket"];
        let request = ["-H", "Host: api.example", "--listener", "web", "GET", "/users/7"];
        let text = told(0, &[&upgrade[..], &request].concat());
        assert_lines(&text, &["           may switch to websocket"]);
        assert!(text.contains("total 5s (route), tunnel 3600s (service)"), "{text}");
    }

    #[test]
    fn the_client_can_be_set_and_can_be_behind_a_proxy() {
        let direct = told(0, &["--client", "192.0.2.7", "--listener", "web", "GET", "/users/7"]);
        assert!(direct.contains("near (gw.yaml:19:3) takes it"), "{direct}");
        let said = ["-H", "X-Forwarded-For: 192.0.2.8", "--listener", "web", "GET", "/users/7"];
        let behind = told(0, &[&["--client", "10.0.0.1"][..], &said].concat());
        assert!(behind.contains("client     192.0.2.8: said by"), "{behind}");
        told(3, &said);
    }

    #[test]
    fn redirects_and_replies_are_told() {
        let text = told(0, &["GET", "/old/7"]);
        assert_lines(&text, &["           {rest} = 7", "redirect   302 to /users/7"]);
        let text = told(0, &["GET", "/hi"]);
        assert_lines(&text, &["reply      200, 5 bytes", "           x-a: b"]);
    }

    #[test]
    fn a_request_that_no_route_takes_ends_with_3() {
        let text = told(3, &["GET", "/nothing"]);
        assert_lines(&text, &["route      none takes it"]);
        assert!(text.contains("answer     404 no_route"), "{text}");

        let text = told(3, &["-H", "Host: api.example", "PUT", "/users/7"]);
        assert!(text.contains("answer     405 method_not_allowed"), "{text}");
        assert_lines(&text, &["           Allow: GET, HEAD"]);
    }

    #[test]
    fn a_request_that_the_listener_refuses_ends_with_3() {
        let text = told(3, &["--listener", "web", "GET", "/a%2fb"]);
        assert!(text.contains("answer     400 bad_path"), "{text}");
        let text = told(3, &["GET", "http://a:8001/0123456789012345678901"]);
        assert!(text.contains("listener   internal"), "{text}");
        assert!(text.contains("answer     414 uri_too_long"), "{text}");
    }

    #[test]
    fn policies_that_judge_are_told_with_what_they_say() {
        let policies = "policies:\n  - cors: { origins: \"https://app.example\", methods: [PUT] }\n  - csrf: on\n  - access: { deny: [{ method: DELETE, ip: [\"192.0.2.0/24\"] }] }\n  - cel: \"request.host == 'api.example'\"\n";
        let config = format!("{CONFIG}{policies}");
        let told = |arguments: &[&str]| {
            String::from_utf8(explain_with(&config, arguments).stdout).unwrap()
        };
        let url = "http://api.example:8000/hi";
        let text = told(&["-H", "Origin: https://app.example", "DELETE", url]);
        assert_lines(
            &text,
            &[
                "policies   cors, global (gw.yaml:22:1): pages of https://app.example; methods: PUT; fields: any",
                "             a page of https://app.example may read the reply",
                "           csrf, global (gw.yaml:22:1): refuses what pages of other sites send; requests that do not say pass",
                "             it comes from another site: 403",
                "           access, global (gw.yaml:22:1): deny ip 192.0.2.0/24 and method DELETE",
                "             lets it pass",
                "           cel, global (gw.yaml:22:1): request.host == 'api.example'",
                "             lets it pass",
            ],
        );
        let asked =
            ["-H", "Origin: https://app.example", "-H", "Access-Control-Request-Method: GET"];
        let text = told(&[&asked[..], &["OPTIONS", url]].concat());
        assert_lines(
            &text,
            &[
                "answer     204 by the gateway itself: a preflight for GET",
                "           which the route hi would take",
                "           Access-Control-Allow-Origin: https://app.example",
                "           Access-Control-Allow-Methods: PUT",
            ],
        );
    }

    #[test]
    fn json_says_the_same() {
        let output = explain(&["--format", "json", "GET", "http://api.example:8000/users/7"]);
        let page: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(page["listener"]["name"], "web");
        assert_eq!(page["path"], json!({ "raw": "/users/7", "normal": "/users/7" }));
        assert_eq!(page["candidates"][0]["verdict"], "won");
        assert_eq!(page["candidates"][1]["why"], "client is in none of the networks");
        let routed = &page["routed"];
        assert_eq!(routed["place"], "gw.yaml:14:3");
        assert_eq!(routed["params"], json!({ "id": "7" }));
        let service = &routed["forward"]["services"][0];
        assert_eq!(service["timeouts_s"]["total"], json!({ "value": 5.0, "from": "route" }));
        assert_eq!(service["endpoints"][1]["weight"], 3);

        let output = explain(&["--format", "json", "GET", "/nothing"]);
        assert_eq!(output.status.code(), Some(3));
        let page: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(page["refused"]["code"], "no_route");
    }

    #[test]
    fn a_faulty_configuration_is_reported_and_ends_with_1() {
        let output =
            explain_with(&CONFIG.replace("service: users,", "service: user,"), &["GET", "/"]);
        assert_eq!(output.status.code(), Some(1));
        let report = String::from_utf8(output.stderr).unwrap();
        assert!(report.contains("gw.yaml:16:"), "{report}");
        assert!(output.stdout.is_empty());
    }

    #[test]
    fn arguments_that_make_no_sense_are_refused() {
        for arguments in [
            &["GET", "api.example/x"][..],
            &["GET", "ftp://a/"],
            &["-H", "no colon", "GET", "/"],
            &["--client", "a", "GET", "/"],
        ] {
            assert_eq!(explain(arguments).status.code(), Some(2), "{arguments:?}");
        }
        assert_eq!(explain(&["--listener", "nobody", "GET", "/"]).status.code(), Some(1));
    }

    #[test]
    fn browsers_that_have_to_log_in_are_told_apart() {
        let config = r#"listeners:
  web: { address: "127.0.0.1:8000", forwarded: { hops: 1 } }
issuers:
  main: { issuer: "https://id.example" }
routes:
  hi:
    match: { host: shop.example }
    reply: { status: 200 }
    policies:
      - oidc:
          issuer: main
          client: { id: shop }
          session: { secret: 0123456789abcdef0123456789abcdef }
"#;
        let told = |status: i32, arguments: &[&str]| {
            let output = explain_with(config, arguments);
            assert_eq!(output.status.code(), Some(status), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let html = "Accept: text/html";
        let text = told(0, &["-H", html, "GET", "http://shop.example/x"]);
        assert!(text.contains("sends the browser to log in (oidc of main)"), "{text}");
        assert!(told(3, &["GET", "http://shop.example/x"]).contains("401 unauthenticated"));
        for (path, what) in [("callback", "takes browsers back"), ("logout", "logs users out")] {
            let url = format!("http://shop.example/.portcullis/{path}");
            assert!(told(0, &["GET", &url]).contains(what));
            let elsewhere = format!("http://other.example/.portcullis/{path}");
            assert!(told(3, &["GET", &elsewhere]).contains("no_route"));
        }
    }
}
