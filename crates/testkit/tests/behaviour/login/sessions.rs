//! From a login to its logout, as it should be.

use portcullis_testkit::{Client, Origin, eventually};
use serde_json::json;

use super::provider::{Provider, asked};
use super::{Browser, HTML, SECRET, config, gateway, location, oidc, started, with_policies};

#[test]
fn a_browser_logs_in_and_comes_back_to_where_it_was() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let more = ", scopes: [profile, email], claims_to_headers: { x-user: sub, x-mail: email }, \
                user_info: true, access_token_header: Authorization, parameters: { prompt: login }";
    let gateway = gateway(&origin, &provider, "", more);
    let mut browser = Browser::new(&gateway);

    let sent = browser.go("/cart?item=1&x=%2F");
    assert_eq!(sent.status, 303);
    assert_eq!(sent.field("cache-control"), Some("no-store"));
    assert!(location(&sent).starts_with(&format!("{}/auth?tenant=1&", provider.name())));
    let parameters = asked(location(&sent));
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "shop"),
        ("redirect_uri", "https://shop.example/.portcullis/callback"),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
        ("prompt", "login"),
    ] {
        assert_eq!(parameters[name], value);
    }
    assert!(["state", "nonce", "code_challenge"].iter().all(|name| parameters[*name].len() == 43));
    let cookie = sent.field("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-portcullis-") && cookie.contains("-login-"), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax"), "{cookie}");

    let back = browser.go(&provider.answer(location(&sent)));
    assert_eq!((back.status, location(&back)), (303, "/cart?item=1&x=%2F"));
    assert!(browser.named("-login-").is_empty() && browser.session().len() == 1);
    let set = back.fields.all("set-cookie");
    let session = set.iter().find(|line| !line.contains("Max-Age=0")).unwrap();
    assert!(session.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax"), "{session}");
    assert!(origin.requests().is_empty());

    browser.cookies.insert("theme".into(), "dark".into());
    browser.says += "X-User: root\r\nx_user: root\r\nAuthorization: Basic eA==\r\n";
    let reply = browser.go("/cart?item=1&x=%2F");
    assert_eq!((reply.status, reply.fields.has("set-cookie")), (200, false));
    let seen = origin.last_request();
    assert_eq!((seen.field("x-user"), seen.field("x_user")), (Some("anna"), None));
    assert_eq!(seen.field("x-mail"), Some("anna@example.com"));
    assert!(seen.field("authorization").unwrap().starts_with("Bearer access-"));
    assert_eq!(seen.field("cookie"), Some("theme=dark"), "the session is the gateway's own");
    assert_eq!(seen.target, "/cart?item=1&x=%2F");

    assert!(eventually(|| gateway.logged_requests().len() == 3));
    let line = gateway.logged_requests().pop().unwrap();
    assert_eq!((&line["auth"], &line["credential"]), (&"oidc".into(), &"anna".into()));
    let count =
        |event: &str| gateway.metric("portcullis_logins_total", &format!("event=\"{event}\""));
    assert_eq!((count("begun"), count("completed"), count("failed")), (1.0, 1.0, 0.0));
    let all = format!("{}{:?}", gateway.log(), gateway.logged_requests());
    for secret in ["s3cret", SECRET, "access-", "refresh-", &parameters["state"]] {
        assert!(!all.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn who_shows_no_pages_is_not_sent_away() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", "");
    let mut browser = Browser::new(&gateway);
    for (method, fields) in [
        ("GET", "Accept: application/json\r\n".to_owned()),
        ("GET", format!("{HTML}Sec-Fetch-Mode: cors\r\n")),
        ("GET", format!("{HTML}X-Requested-With: XMLHttpRequest\r\n")),
        ("GET", "Accept: */*\r\n".to_owned()),
        ("POST", HTML.to_owned()),
    ] {
        let reply = browser.send(method, "/x", &fields);
        assert_eq!(reply.status, 401, "{fields}");
        assert_eq!(reply.field("content-type"), Some("application/problem+json"));
        let challenge = reply.field("www-authenticate").unwrap();
        assert!(challenge.starts_with("Cookie realm=\"portcullis\", cookie-name=\"__Host-"));
        assert!(!reply.fields.has("location") && !reply.fields.has("set-cookie"));
    }
    assert!(origin.requests().is_empty());
    assert_eq!(browser.send("GET", "/x", "Sec-Fetch-Mode: navigate\r\n").status, 303);
}

#[test]
fn tabs_log_in_side_by_side_and_only_so_many() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", "");
    let mut browser = Browser::new(&gateway);
    let tabs: Vec<String> =
        (0..3).map(|tab| location(&browser.go(&format!("/tab/{tab}"))).to_owned()).collect();
    assert_eq!(browser.named("-login-").len(), 3);
    for tab in [2, 0, 1] {
        let back = browser.go(&provider.answer(&tabs[tab]));
        assert_eq!((back.status, location(&back)), (303, &*format!("/tab/{tab}")));
    }
    browser.cookies.clear();
    for tab in 0..30 {
        assert_eq!(browser.go(&format!("/{tab}")).status, 303);
    }
    assert!(browser.named("-login-").len() <= 8, "{:?}", browser.named("-login-").len());
    let last = location(&browser.go("/last")).to_owned();
    assert_eq!(location(&browser.go(&provider.answer(&last))), "/last");
}

#[test]
fn tokens_are_renewed_once_and_old_cookies_go_over_to_the_new_ones() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", ", access_token_header: x-token");
    let mut browser = Browser::new(&gateway);
    provider.says.lock().unwrap().tokens = json!({"expires_in": 2});
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    provider.says.lock().unwrap().tokens = json!({});
    let old = browser.cookies.clone();
    assert!(eventually(|| {
        assert_eq!(browser.go("/").status, 200);
        provider.granted("refresh_token") == 1
    }));
    let token = origin.last_request().field("x-token").unwrap().to_owned();
    assert_ne!(browser.cookies, old, "the new session is in the cookie");
    // Requests that were on their way with the old cookie: the token is not used a second time.
    for _ in 0..5 {
        let mut late = Browser { cookies: old.clone(), ..Browser::new(&gateway) };
        assert_eq!(late.go("/").status, 200);
        assert_eq!(origin.last_request().field("x-token"), Some(&*token));
        assert_ne!(late.cookies, old);
    }
    assert_eq!((provider.granted("refresh_token"), provider.says.lock().unwrap().reused), (1, 0));
    assert!(gateway.metric("portcullis_logins_total", "event=\"renewed\"") > 0.0);
}

#[test]
fn many_requests_at_once_renew_once() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let config = config(&origin, &provider, "", ", refresh_ahead: 1h").also("workers: 2");
    let gateway = started(&config);
    let mut browser = Browser::new(&gateway);
    // Due at once, for half of the time is over within a second.
    provider.says.lock().unwrap().tokens = json!({"expires_in": 1});
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    provider.says.lock().unwrap().tokens = json!({});
    std::thread::scope(|scope| {
        for _ in 0..16 {
            let cookies = browser.cookies.clone();
            let mut one = Browser { cookies, ..Browser::new(&gateway) };
            scope.spawn(move || assert_eq!(one.go("/").status, 200));
        }
    });
    assert!(eventually(|| {
        assert_eq!(browser.go("/").status, 200);
        provider.granted("refresh_token") == 1
    }));
    assert_eq!(provider.says.lock().unwrap().reused, 0);
}

#[test]
fn what_the_provider_does_not_renew_is_over() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", "");
    let mut browser = Browser::new(&gateway);
    provider.says.lock().unwrap().tokens = json!({"expires_in": 1});
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    provider.says.lock().unwrap().refuses = Some((400, r#"{"error":"invalid_grant"}"#.into()));
    assert!(eventually(|| browser.go("/").status == 303));
    assert_eq!(browser.send("GET", "/", "").status, 401);
    // Somebody else's name in a renewed token is not taken over either.
    provider.says.lock().unwrap().refuses = None;
    let mut other = Browser::new(&gateway);
    assert_eq!(other.log_in(&provider, "/").status, 303);
    provider.says.lock().unwrap().claims = json!({"sub": "root"});
    assert!(eventually(|| other.go("/").status == 303));
}

#[test]
fn a_provider_that_is_down_ends_nobodys_session_before_its_time() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", ", refresh_ahead: 1h");
    let mut browser = Browser::new(&gateway);
    provider.says.lock().unwrap().tokens = json!({"expires_in": 4});
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    provider.says.lock().unwrap().refuses = Some((503, String::new()));
    // Renewing fails from half of the time on, and the session holds until its end.
    assert!(eventually(|| {
        let status = browser.go("/").status;
        assert!(matches!(status, 200 | 503), "{status}");
        status == 503
    }));
    assert!(provider.granted("refresh_token") > 0);
    provider.says.lock().unwrap().refuses = None;
    assert!(eventually(|| browser.go("/").status == 200), "it renews again");
}

#[test]
fn sessions_end_by_idleness_and_by_age() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    for session in [", idle: 1s", ", lifetime: 1s"] {
        let gateway = gateway(&origin, &provider, session, "");
        let mut browser = Browser::new(&gateway);
        assert_eq!(browser.log_in(&provider, "/").status, 303);
        let cookies = browser.cookies.clone();
        assert!(eventually(|| {
            browser.cookies.clone_from(&cookies);
            browser.go("/").status == 303
        }));
    }
}

#[test]
fn secrets_change_without_anybody_logging_in_anew() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", "");
    let mut browser = Browser::new(&gateway);
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    let new = "another secret that is long enough for it";
    let change = |secrets: &str| {
        let text = config(&origin, &provider, "", "").to_string();
        gateway.write_config(&text.replace(&format!("\"{SECRET}\""), secrets));
        assert_eq!(gateway.reload().status, 200, "{}", gateway.log());
    };
    change(&format!("[\"{new}\", \"{SECRET}\"]"));
    let before = browser.session();
    assert_eq!(browser.go("/").status, 200);
    assert_ne!(browser.session(), before, "sealed anew");
    change(&format!("\"{new}\""));
    assert_eq!(browser.go("/").status, 200);
    browser.cookies = before.into_iter().collect();
    assert_eq!(browser.go("/").status, 303);
}

#[test]
fn a_long_session_takes_several_cookies_and_a_longer_one_none() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let more = ", access_token_header: x-token";
    let gateway = gateway(&origin, &provider, "", more);
    let mut browser = Browser::new(&gateway);
    let token = "t".repeat(6000);
    let tokens = json!({"access_token": token});
    let mut says = provider.says.lock().unwrap();
    (says.tokens, says.claims) = (tokens, json!({"at_hash": null}));
    drop(says);
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    assert_eq!(browser.session().len(), 3);
    assert_eq!(browser.go("/").status, 200);
    let seen = origin.last_request();
    assert_eq!((seen.field("x-token"), seen.field("cookie")), (Some(&*token), None));
    // A shorter one ends what it has no use for.
    browser.cookies.retain(|name, _| name.contains('.'));
    provider.says.lock().unwrap().tokens = json!({});
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    assert_eq!(browser.session().len(), 1);
    provider.says.lock().unwrap().tokens = json!({"access_token": "t".repeat(20_000)});
    browser.cookies.clear();
    assert_eq!(browser.log_in(&provider, "/").status, 503);
    assert!(browser.session().is_empty());
}

#[test]
fn users_log_out_here_and_with_the_provider() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", ", logout: { then: /bye }");
    let mut browser = Browser::new(&gateway);
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    let out = browser.send("POST", "/.portcullis/logout", "Sec-Fetch-Site: same-origin\r\n");
    assert_eq!(out.status, 303);
    assert!(browser.session().is_empty());
    assert!(location(&out).starts_with(&format!("{}/end?", provider.name())));
    let said = asked(location(&out));
    assert_eq!(said["client_id"], "shop");
    assert_eq!(said["post_logout_redirect_uri"], "https://shop.example/.portcullis/logout");
    assert_eq!(said["id_token_hint"].split('.').count(), 3);
    let back = browser.go(&format!("/.portcullis/logout?state={}", said["state"]));
    assert_eq!((back.status, location(&back)), (303, "/bye"));
    assert!(browser.cookies.is_empty());
    assert_eq!(browser.go("/").status, 303, "logged out");
    // Without a session there is nothing to end.
    let again = Browser::new(&gateway).send("POST", "/.portcullis/logout", "");
    assert_eq!((again.status, location(&again)), (303, "/bye"));
    assert!(gateway.metric("portcullis_logins_total", "event=\"logged_out\"") > 0.0);
}

#[test]
fn a_login_stands_beside_other_credentials() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let oidc = oidc("", ", claims_to_headers: { x-user: sub }");
    let access = "access: { allow: [{ role: buyer }, { consumer: robot }] }";
    let policies = format!("any_of: [basic: {{}}, {oidc}], {access}");
    let hash = format!("$2b$04${}", "x".repeat(53));
    let robot = format!("consumers: {{ robot: {{ basic: {{ hash: \"{hash}\" }} }} }}");
    let gateway = started(&with_policies(&origin, &provider, &policies).also(&robot));
    let mut browser = Browser::new(&gateway);
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    assert_eq!(browser.go("/").status, 200);
    assert_eq!(origin.last_request().field("x-user"), Some("anna"));
    let mut other = Browser::new(&gateway);
    let refused = other.send("GET", "/", "");
    assert_eq!((refused.status, refused.fields.all("www-authenticate").len()), (401, 2));
    // Who shows a password is no browser that logs in.
    let wrong = other.send("GET", "/", &format!("{HTML}Authorization: Basic cm9ib3Q6eA==\r\n"));
    assert_eq!(wrong.status, 401);
    // A role that nobody has.
    provider.says.lock().unwrap().claims = json!({"roles": ["guest"]});
    assert_eq!(other.log_in(&provider, "/").status, 303);
    assert_eq!(other.go("/").status, 403);
}

#[test]
fn over_plain_http_only_where_the_configuration_says_so() {
    let (origin, provider) = (Origin::echo(), Provider::start());
    let gateway = gateway(&origin, &provider, "", "");
    let reply = Client::connect(gateway.address())
        .ask(format!("GET / HTTP/1.1\r\nHost: shop.example\r\n{HTML}\r\n"));
    assert_eq!(reply.status, 403);
    assert!(reply.text().contains("login_insecure"), "{}", reply.text());
    let gateway = super::gateway(&origin, &provider, "", ", plain_http: true");
    let mut browser = Browser { says: String::new(), ..Browser::new(&gateway) };
    assert_eq!(browser.log_in(&provider, "/x").status, 303);
    assert!(browser.named("__Host-").is_empty());
    assert_eq!(browser.go("/x").status, 200);
}
