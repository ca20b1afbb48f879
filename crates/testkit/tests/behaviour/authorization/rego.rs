//! Policies of Rego over what is known of a request, and their tests.

use portcullis_testkit::{Config, Gateway, Origin, Starting, TempDir, eventually, run_command};

/// A gateway whose route asks a policy.
fn gateway(origin: &Origin, module: &str, more: &str) -> Gateway {
    let starting = Starting::new(&config(origin, more));
    starting.dir().write("policy.rego", format!("package gateway\n{module}\n"));
    starting.dir().write("data.json", "{\"open\": {\"/a\": true}}");
    starting.start()
}

fn config(origin: &Origin, more: &str) -> Config {
    Config::before(origin).route(&format!(
        "policies: [rego: {{ files: [policy.rego, data.json], rule: data.gateway.allow{more} }}]"
    ))
}

#[test]
fn a_policy_decides_by_its_data() {
    let origin = Origin::echo();
    let module = "default allow := {\"allow\": false, \"reason\": \"closed\"}\n\
        allow if data.open[input.request.path]";
    let gateway = gateway(&origin, module, "");
    assert_eq!(gateway.get("/a").status, 200);
    assert_eq!(gateway.get("/x/../a").status, 200);
    assert_eq!(gateway.get("/b").status, 403);
    let line = gateway.logged_request("/b");
    assert_eq!((&line["policy"], &line["error"]), (&"rego".into(), &"forbidden".into()));
    assert_eq!(line["detail"], "route/all/rego/rego: closed");
    let counted = |outcome: &str| {
        let labels = format!("kind=\"rego\",policy=\"rego\",outcome=\"{outcome}\"");
        gateway.metric("portcullis_policy_requests_total", &labels)
    };
    assert!(eventually(|| counted("allowed") == 2.0 && counted("refused") == 1.0));
}

#[test]
fn every_part_of_a_request_is_in_the_input() {
    let origin = Origin::echo();
    for condition in [
        "input.request.method == \"POST\"; input.request.path == \"/u\"",
        "input.request.query.a == \"A\"; input.request.query_string == \"a=%41&b=1&b=2\"",
        "input.request.query.b == null; not input.request.query.c",
        "input.request.headers[\"x-one\"] == \"1\"; input.request.cookies.c == \"v\"",
        "input.request.host == \"a.example\"; input.request.scheme == \"http\"",
        "net.cidr_contains(\"127.0.0.0/8\", input.request.ip); input.request.size == 2",
        "input.request.time > 1700000000000000000; input.request.route == \"all\"",
        "input.consumer.known == false; input.consumer.groups == []; input.claims == {}",
        "input.auth.kind == \"\"; input.auth.scopes == []",
    ] {
        let gateway = gateway(&origin, &format!("allow if {{ {condition} }}"), "");
        let fields = "Host: A.example:80\r\nX-One: 1\r\nCookie: c=v\r\nContent-Length: 2\r\n";
        let request = format!("POST /u?a=%41&b=1&b=2 HTTP/1.1\r\n{fields}\r\nhi");
        assert_eq!(gateway.ask(request).status, 200, "{condition}");
    }
}

#[test]
fn what_cannot_be_decided_is_refused() {
    let origin = Origin::echo();
    for (module, why) in [
        ("allow if input.request.path == \"/other\"", "undefined"),
        ("allow := \"yes\"", "neither yes nor no"),
        ("allow if not startswith(input.request.query.a, \"x\")", "failed"),
        ("allow if nobody_knows(1)", "failed"),
        (
            "allow if {\n  some a in numbers.range(1, 5000)\n  some b in numbers.range(1, 5000)\n  \
             a + b < 0\n}",
            "failed",
        ),
    ] {
        let gateway = gateway(&origin, module, ", timeout: 5ms");
        let request = "GET /x?a=1&a=2 HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(gateway.ask(request).status, 403, "{module}");
        let line = gateway.logged_request("/x");
        assert!(line["detail"].as_str().unwrap().contains(why), "{module}: {}", line["detail"]);
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn a_wrong_policy_is_not_taken() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, "allow := true", "");
    for (module, about) in [
        ("package gateway\nallow if {", "policy.rego"),
        ("package gateway\ndeny := true", "data.gateway.allow"),
        ("package gateway\nallow if f(1)\nf(x) := f(x)", "may call itself"),
    ] {
        gateway.dir().write("policy.rego", module);
        let reply = gateway.reload();
        assert_ne!(reply.status, 200);
        assert!(reply.text().contains(about), "{}", reply.text());
        assert_eq!(gateway.get("/x").status, 200);
    }
    gateway.dir().write("policy.rego", "package gateway\nallow := false");
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/x").status, 403);
}

#[test]
fn tests_of_policies_are_run() {
    let dir = TempDir::new();
    dir.write("policy.rego", "package gateway\ndefault allow := false\nallow if input.a == 1\n");
    let run = |tests: &str| {
        dir.write(
            "policy_test.rego",
            format!("package gateway_test\nimport data.gateway\n{tests}\n"),
        );
        let output = run_command(&["policy", "test", "."], dir.path());
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text, String::from_utf8(output.stderr).unwrap())
    };
    let good = "test_one if gateway.allow with input as {\"a\": 1}";
    let (code, text, _) = run(good);
    assert_eq!((code, &*text), (Some(0), "1 passed, 0 failed, 0 with errors, 0 to do\n"));
    let (code, text, _) =
        run(&format!("{good}\ntest_two if gateway.allow with input as {{\"a\": 2}}"));
    assert_eq!(code, Some(1));
    assert!(text.contains("FAIL  data.gateway_test.test_two"), "{text}");
    let (code, text, _) =
        run(&format!("{good}\ntest_two if startswith(1, 2)\ntodo_test_x if false"));
    assert_eq!(code, Some(1));
    assert!(text.contains("1 passed, 0 failed, 1 with errors, 1 to do"), "{text}");
    let (code, _, error) = run("");
    assert_eq!(code, Some(1));
    assert!(error.contains("there is no test"), "{error}");
    let (code, _, error) = run("test_one if {");
    assert_eq!(code, Some(1));
    assert!(error.contains("policy_test.rego"), "{error}");
}
