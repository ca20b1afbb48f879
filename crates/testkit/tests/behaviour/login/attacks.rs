//! What goes wrong with logins, and what others try with them: never a session, never a 5xx, never a
//! way to another site.

use portcullis_jose::{Algorithm, Signer};
use portcullis_testkit::{Origin, Reply, eventually};
use serde_json::json;

use super::provider::{Provider, asked, escape};
use super::{Browser, HTML, gateway, location};

/// The callback was refused, and there is no session.
fn refused(reply: &Reply, browser: &Browser<'_>) {
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(reply.field("content-type"), Some("application/problem+json"));
    assert!(reply.text().contains("\"code\":\"login_failed\""), "{}", reply.text());
    assert!(!reply.fields.has("location"), "{reply:?}");
    assert!(browser.session().is_empty());
}

#[test]
fn the_way_back_leads_to_no_other_site() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", "");
    for (target, back) in [
        ("/a%2F%2Fevil.example", "/a%2F%2Fevil.example"),
        ("/?next=//evil.example", "/?next=//evil.example"),
        ("/%5Cevil.example", "/%5Cevil.example"),
        ("//evil.example", "/"),
        ("///evil.example/x", "/"),
        ("/.//evil.example", "/.//evil.example"),
        ("http://evil.example//evil.example", "/"),
    ] {
        let mut browser = Browser::new(&gateway);
        let sent = browser.go(target);
        if sent.status != 303 {
            assert!((400..500).contains(&sent.status), "{target}: {sent:?}");
            continue;
        }
        // Whatever host the target names, the browser is at its own.
        let answer = provider.answer(location(&sent));
        if target.starts_with("http") {
            browser.host = "evil.example".into();
        }
        let reply = browser.go(&answer);
        assert_eq!((reply.status, location(&reply)), (303, back), "{target}");
    }
    let mut browser = Browser::new(&gateway);
    let long = format!("/{}", "x".repeat(3000));
    assert_eq!(location(&browser.log_in(&provider, &long)), "/");
    for raw in ["/\\evil.example", "/\t/evil.example", "\\/evil.example"] {
        let reply = browser.go(raw);
        assert!((400..500).contains(&reply.status), "{raw}: {reply:?}");
    }
}

#[test]
fn an_answer_that_does_not_fit_begins_no_session() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", "");
    let callback = "/.portcullis/callback";
    type Answer = fn(&Provider, &str, &str, &str) -> String;
    let answers: [Answer; 12] = [
        |_, path, _, _| path.to_owned(),
        |_, path, state, _| format!("{path}?state={state}"),
        |_, path, _, code| format!("{path}?code={code}"),
        |_, path, _, code| format!("{path}?code={code}&state=x"),
        |p, path, state, code| {
            format!("{path}?code={code}&state={state}&state={state}&iss={}", escape(&p.name()))
        },
        |p, path, state, code| {
            format!("{path}?code={code}&code={code}&state={state}&iss={}", escape(&p.name()))
        },
        |_, path, state, code| format!("{path}?code={code}&state={state}"),
        |_, path, state, code| {
            format!("{path}?code={code}&state={state}&iss=https%3A%2F%2Fevil.example")
        },
        |p, path, state, _| format!("{path}?code=forged&state={state}&iss={}", escape(&p.name())),
        |p, path, state, _| {
            format!(
                "{path}?error=access_denied&error_description=%3Cscript%3E&state={state}&iss={}",
                escape(&p.name())
            )
        },
        |_, path, state, code| format!("{path}?code={code}%ff&state={state}"),
        |_, path, state, code| format!("{path}?code={code}&state={}", &state[..42]),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let mut browser = Browser::new(&gateway);
        let sent = browser.go("/");
        let parameters = asked(location(&sent));
        let code = provider.code(&parameters);
        let reply = browser.go(&answer(&provider, callback, &parameters["state"], &code));
        println!("{number}");
        refused(&reply, &browser);
        assert!(!reply.text().contains("script"), "{}", reply.text());
    }
    assert!(origin.requests().is_empty(), "no code reaches the service");
    let logged = || format!("{:?}", gateway.logged_requests());
    assert!(eventually(|| logged().contains("the provider says access_denied")), "{}", logged());
    for (method, allow) in [("POST", "GET"), ("HEAD", "GET"), ("DELETE", "GET")] {
        let mut browser = Browser::new(&gateway);
        let sent = browser.go("/");
        let target = provider.answer(location(&sent));
        if method != "HEAD" {
            let reply = browser.send(method, &target, "");
            assert_eq!((reply.status, reply.field("allow")), (405, Some(allow)), "{method}");
        }
    }
}

#[test]
fn a_login_is_bound_to_its_browser_and_ends_once() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", "");
    let (mut victim, mut attacker) = (Browser::new(&gateway), Browser::new(&gateway));
    // The attacker's answer in the victim's browser (login CSRF), with and without a login there.
    let sent = attacker.go("/");
    let answer = provider.answer(location(&sent));
    refused(&victim.go(&answer), &victim);
    victim.go("/");
    refused(&victim.go(&answer), &victim);
    // The victim's code with the attacker's state: the verifier is another, and so is the nonce.
    let (his, hers) = (attacker.go("/"), victim.go("/"));
    let (his, hers) = (asked(location(&his)), asked(location(&hers)));
    let code = provider.code(&hers);
    let mixed = format!(
        "/.portcullis/callback?code={code}&state={}&iss={}",
        his["state"],
        escape(&provider.name())
    );
    refused(&attacker.go(&mixed), &attacker);
    // The cookie of one login under the name of another.
    let mut browser = Browser::new(&gateway);
    let (one, other) = (browser.go("/1"), browser.go("/2"));
    let cookies = browser.named("-login-");
    let [(first, a), (second, b)] = &cookies[..] else { panic!("{cookies:?}") };
    browser.cookies.insert(first.clone(), b.clone());
    browser.cookies.insert(second.clone(), a.clone());
    for sent in [&one, &other] {
        let reply = browser.go(&provider.answer(location(sent)));
        refused(&reply, &browser);
    }
    // The same answer again, with the cookie that it had: the code is of no more use.
    let mut browser = Browser::new(&gateway);
    let answer = provider.answer(location(&browser.go("/")));
    let before = browser.cookies.clone();
    assert_eq!(browser.go(&answer).status, 303);
    assert_eq!(browser.go("/").status, 200);
    let reply = browser.go(&answer);
    assert_eq!(reply.status, 400, "the cookie of the login is gone");
    browser.cookies = before;
    refused(&browser.go(&answer), &browser);
    // On another host it is nobody's.
    let mut elsewhere = Browser::new(&gateway);
    let answer = provider.answer(location(&elsewhere.go("/")));
    elsewhere.host = "other.example".into();
    refused(&elsewhere.go(&answer), &elsewhere);
}

#[test]
fn a_login_takes_no_longer_than_it_may() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", ", login_timeout: 1s");
    let mut browser = Browser::new(&gateway);
    let answer = provider.answer(location(&browser.go("/")));
    let cookies = browser.cookies.clone();
    // Its cookie is kept by no browser for so long, but by whoever wants to.
    let begun = super::provider::now();
    assert!(eventually(|| super::provider::now() > begun + 1));
    browser.cookies = cookies;
    refused(&browser.go(&answer), &browser);
    let logged = || format!("{:?}", gateway.logged_requests()).contains("took too long");
    assert!(eventually(logged));
}

#[test]
fn an_id_token_that_is_not_for_this_login_begins_no_session() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", "");
    let now = super::provider::now();
    for claims in [
        json!({"iss": "https://evil.example"}),
        json!({"iss": null}),
        json!({"aud": "other"}),
        json!({"aud": null}),
        json!({"aud": ["shop", "other"]}),
        json!({"aud": ["shop", "other"], "azp": "other"}),
        json!({"azp": "other"}),
        json!({"azp": 1}),
        json!({"exp": 1}),
        json!({"exp": null}),
        json!({"iat": null}),
        json!({"iat": now + 3600}),
        json!({"nbf": now + 3600}),
        json!({"nonce": "another"}),
        json!({"nonce": null}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": 5}),
        json!({"at_hash": "x"}),
        json!({"at_hash": 1}),
    ] {
        provider.says.lock().unwrap().claims = claims.clone();
        let mut browser = Browser::new(&gateway);
        let reply = browser.log_in(&provider, "/");
        println!("{claims}");
        refused(&reply, &browser);
    }
    for claims in [
        json!({"aud": ["shop"]}),
        json!({"aud": ["x", "shop"], "azp": "shop"}),
        json!({"at_hash": null}),
    ] {
        provider.says.lock().unwrap().claims = claims.clone();
        assert_eq!(Browser::new(&gateway).log_in(&provider, "/").status, 303, "{claims}");
    }
    provider.says.lock().unwrap().claims = json!({});
    for tokens in [
        json!({"id_token": null}),
        json!({"id_token": "a.b.c"}),
        json!({"id_token": "eyJhbGciOiJub25lIn0.e30."}),
        json!({"token_type": "mac"}),
        json!({"access_token": "a\r\nX: y"}),
    ] {
        provider.says.lock().unwrap().tokens = tokens.clone();
        let mut browser = Browser::new(&gateway);
        println!("{tokens}");
        refused(&browser.log_in(&provider, "/"), &browser);
    }
    provider.says.lock().unwrap().tokens = json!({});
    let secret = "s3cret that an attacker may have guessed, and more";
    for signer in [
        Signer::generate(Algorithm::Es256).unwrap(),
        Signer::from_secret(secret.as_bytes(), Algorithm::Hs256, None).unwrap(),
    ] {
        provider.says.lock().unwrap().signer = Some(signer);
        let mut browser = Browser::new(&gateway);
        refused(&browser.log_in(&provider, "/"), &browser);
    }
}

#[test]
fn a_provider_that_does_not_answer_properly_is_no_fault_of_the_browser() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", ", user_info: true");
    for (status, content) in [
        (500, ""),
        (302, ""),
        (200, "nonsense"),
        (200, "{}"),
        (401, r#"{"error":"invalid_client"}"#),
    ] {
        provider.says.lock().unwrap().refuses = Some((status, content.to_owned()));
        let mut browser = Browser::new(&gateway);
        let reply = browser.log_in(&provider, "/");
        assert_eq!(reply.status, 503, "{status} {content}");
        assert!(reply.text().contains("auth_unavailable") && browser.session().is_empty());
    }
    provider.says.lock().unwrap().refuses = None;
    for told in [json!({"sub": "somebody else"}), json!({}), json!([])] {
        provider.says.lock().unwrap().user_info = told;
        let mut browser = Browser::new(&gateway);
        refused(&browser.log_in(&provider, "/"), &browser);
    }
}

#[test]
fn cookies_that_are_no_sessions_let_nobody_in() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", "");
    let mut browser = Browser::new(&gateway);
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    let (name, value) = browser.session().remove(0);
    let login = {
        let mut other = Browser::new(&gateway);
        other.go("/");
        other.named("-login-").remove(0).1
    };
    let flipped = |at: usize| {
        let mut bytes = value.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    let mut odd: Vec<String> =
        [0, 1, 2, 5, 20, value.len() / 2, value.len() - 2].map(flipped).into();
    odd.extend([
        String::new(),
        "1".into(),
        "x".into(),
        value[..value.len() - 4].to_owned(),
        format!("{value}AAAA"),
        format!("2{}", &value[1..]),
        format!("9{}", &value[1..]),
        format!("1{login}"),
        format!("1{}", "A".repeat(3000)),
        format!("1{}", "A".repeat(15_000)),
        "1\u{e9}".into(),
        "\"1\"".into(),
    ]);
    for value in &odd {
        for cookie in
            [format!("{name}={value}"), format!("{name}={value}; {name}.1={value}; {name}.9=x")]
        {
            let mut other = Browser::new(&gateway);
            let field = format!("Cookie: {cookie}\r\n");
            let reply = other.send("GET", "/", &format!("{HTML}{field}"));
            assert!(matches!(reply.status, 303 | 431), "{value}: {reply:?}");
            let reply = other.send("GET", "/", &field);
            assert!(matches!(reply.status, 401 | 431), "{value}: {reply:?}");
            let reply = other.send("POST", "/.portcullis/logout", &field);
            assert!(matches!(reply.status, 303 | 431), "{value}: {reply:?}");
            let reply = other.send("GET", "/.portcullis/callback?code=x&state=y", &field);
            assert!(matches!(reply.status, 400 | 431), "{value}: {reply:?}");
        }
    }
    // Two that are not the same are none, in whatever order; the same twice is one.
    let two = |first: &str, second: &str| {
        let field = format!("Cookie: {name}={first}\r\nCookie: {name}={second}\r\n");
        Browser::new(&gateway).send("GET", "/", &field).status
    };
    assert_eq!((two(&value, &value), two(&value, "1x"), two("1x", &value)), (200, 401, 401));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn other_sites_log_nobody_out() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", "");
    let mut browser = Browser::new(&gateway);
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    let cookies = browser.cookies.clone();
    for (method, fields) in [
        ("GET", ""),
        ("GET", "Sec-Fetch-Site: cross-site\r\n"),
        ("GET", "Sec-Fetch-Site: same-site\r\n"),
        ("POST", "Sec-Fetch-Site: cross-site\r\n"),
        ("POST", "Origin: https://evil.example\r\n"),
        ("POST", "Origin: null\r\n"),
        ("POST", "Origin: http://shop.example\r\n"),
        ("GET", "Origin: https://evil.example\r\n"),
    ] {
        let reply = browser.send(method, "/.portcullis/logout", fields);
        assert_eq!(reply.status, 403, "{method} {fields}");
        assert!(reply.text().contains("cross_site"), "{}", reply.text());
        assert_eq!(browser.cookies, cookies);
    }
    let forged =
        browser.send("GET", "/.portcullis/logout?state=x", "Sec-Fetch-Site: cross-site\r\n");
    assert_eq!((forged.status, &browser.cookies), (403, &cookies));
    let wrong = browser.send("DELETE", "/.portcullis/logout", "");
    assert_eq!((wrong.status, wrong.field("allow")), (405, Some("GET, POST")));
    assert_eq!(browser.go("/").status, 200);
    let own = browser.send("GET", "/.portcullis/logout", "Sec-Fetch-Site: same-origin\r\n");
    assert_eq!((own.status, browser.session().len()), (303, 0));
}

#[test]
fn the_paths_of_logins_are_those_of_its_hosts_alone() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let text = super::config(&origin, &provider, "", "").to_string();
    let text = text.replace("routes:\n  all: {", "routes:\n  open: { match: { path: { prefix: / } }, service: origin }\n  all: { match: { host: shop.example, path: { prefix: /in } },");
    let gateway = super::started_text(&text);
    let mut browser = Browser::new(&gateway);
    assert_eq!(browser.go("/").status, 200);
    assert_eq!(location(&browser.log_in(&provider, "/in")), "/in");
    let seen = origin.requests().len();
    assert_eq!(browser.go("/.portcullis/callback?code=x&state=y").status, 400);
    assert_eq!(origin.requests().len(), seen);
    // A route without the policy sees no session either.
    assert_eq!(browser.go("/").status, 200);
    assert_eq!(origin.last_request().field("cookie"), None);
    browser.host = "other.example".into();
    assert_eq!(browser.go("/.portcullis/callback?code=x").status, 200);
    browser.host = "SHOP.example.:443".into();
    assert_eq!(browser.go("/x/../.portcullis/callback?code=x").status, 400);
}

#[test]
fn no_query_of_a_callback_is_too_odd() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", "");
    let mut browser = Browser::new(&gateway);
    browser.go("/");
    let long = "x".repeat(7000);
    for query in [
        "?",
        "?&&&",
        "?state",
        "?state=%00",
        "?code=&state=",
        "?=x",
        "?state=%",
        "?state=+++",
        &format!("?state={long}"),
        "?state=../../x",
        "?iss=&error=",
    ] {
        let reply = browser.go(&format!("/.portcullis/callback{query}"));
        refused(&reply, &browser);
    }
}
