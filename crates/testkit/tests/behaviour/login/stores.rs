//! Sessions in a store: for several gateways, and ended where they are ended. Without `redis-server`
//! these tests are skipped, unless `PORTCULLIS_PEERS=required`.

use portcullis_testkit::redis::{Redis, redis_is_here};
use portcullis_testkit::{Config, Origin, eventually};
use serde_json::json;

use super::provider::Provider;
use super::{Browser, config, started};

fn with_store(origin: &Origin, provider: &Provider, redis: &Redis, more: &str) -> Config {
    let store = format!(
        "stores: {{ kept: {{ redis: {{ address: \"{}\" }}, timeout: 1s, on_failure: open }} }}",
        redis.address()
    );
    config(origin, provider, ", store: kept", more).also(&store)
}

#[test]
fn a_session_in_a_store_is_good_at_every_gateway_and_ends_at_all() {
    if !redis_is_here() {
        return;
    }
    let (origin, provider, redis) = (Origin::echo(), Provider::start(), Redis::start());
    let config = with_store(&origin, &provider, &redis, ", claims_to_headers: { x-user: sub }");
    let (one, other) = (started(&config), started(&config));
    let mut browser = Browser::new(&one);
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    let [(name, value)] = &browser.session()[..] else { panic!("{:?}", browser.cookies) };
    assert_eq!(value.len(), 44, "a name and no more");
    let mut there = Browser { cookies: browser.cookies.clone(), ..Browser::new(&other) };
    assert_eq!(there.go("/").status, 200);
    assert_eq!(origin.last_request().field("x-user"), Some("anna"));
    // What stands in the store is of no use to whoever reads it.
    let keys = redis.keys();
    assert!(keys.iter().any(|key| key.contains(":session:")), "{keys:?}");
    for key in &keys {
        assert!(!key.contains(&value[1..]));
        let kept = redis.ask(&["hgetall", key]);
        assert!(!kept.contains("anna") && !kept.contains("refresh-"), "{kept}");
    }
    let forged = format!("Cookie: {name}=1{}\r\n", "A".repeat(43));
    assert_eq!(Browser::new(&one).send("GET", "/", &forged).status, 401);
    assert_eq!(browser.go("/in-another-tab").status, 200, "the session still holds");
}

#[test]
fn logging_out_ends_a_session_in_the_store() {
    if !redis_is_here() {
        return;
    }
    let (origin, provider, redis) = (Origin::echo(), Provider::start(), Redis::start());
    let config = with_store(&origin, &provider, &redis, "");
    let (one, other) = (started(&config), started(&config));
    let mut browser = Browser::new(&one);
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    let stolen = browser.cookies.clone();
    let out = browser.send("POST", "/.portcullis/logout", "Sec-Fetch-Site: same-origin\r\n");
    assert!(super::location(&out).contains("id_token_hint="));
    for gateway in [&one, &other] {
        let mut thief = Browser { cookies: stolen.clone(), ..Browser::new(gateway) };
        assert_eq!(thief.go("/").status, 303);
        assert_eq!(thief.send("GET", "/", "").status, 401);
    }
}

#[test]
fn several_gateways_renew_a_session_once() {
    if !redis_is_here() {
        return;
    }
    let (origin, provider, redis) = (Origin::echo(), Provider::start(), Redis::start());
    let config = with_store(&origin, &provider, &redis, ", access_token_header: x-token");
    let gateways = [started(&config), started(&config)];
    let mut browser = Browser::new(&gateways[0]);
    provider.says.lock().unwrap().tokens = json!({"expires_in": 1});
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    provider.says.lock().unwrap().tokens = json!({});
    let ask = || {
        std::thread::scope(|scope| {
            for number in 0..8 {
                let cookies = browser.cookies.clone();
                let mut one = Browser { cookies, ..Browser::new(&gateways[number % 2]) };
                scope.spawn(move || assert_eq!(one.go("/").status, 200));
            }
        });
        provider.granted("refresh_token") > 0
    };
    assert!(eventually(ask));
    ask();
    assert_eq!((provider.granted("refresh_token"), provider.says.lock().unwrap().reused), (1, 0));
    let tokens: Vec<_> = origin
        .requests()
        .iter()
        .rev()
        .take(8)
        .map(|r| r.field("x-token").unwrap().to_owned())
        .collect();
    assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
}

#[test]
fn without_its_store_nobody_has_a_session_and_nobody_passes() {
    if !redis_is_here() {
        return;
    }
    let (origin, provider, mut redis) = (Origin::echo(), Provider::start(), Redis::start());
    let gateway = started(&with_store(&origin, &provider, &redis, ""));
    let mut browser = Browser::new(&gateway);
    assert_eq!(browser.log_in(&provider, "/").status, 303);
    assert_eq!(browser.go("/").status, 200);
    redis.kill();
    // Whatever limits do without it.
    assert!(eventually(|| browser.go("/").status == 503));
    let refused = browser.send("GET", "/", "");
    assert_eq!(refused.status, 503);
    assert!(refused.text().contains("auth_unavailable"), "{}", refused.text());
    let mut other = Browser::new(&gateway);
    assert_eq!(other.log_in(&provider, "/").status, 503);
    assert!(other.session().is_empty());
    let out = browser.send("POST", "/.portcullis/logout", "Sec-Fetch-Site: same-origin\r\n");
    assert_eq!(out.status, 503, "nobody is told to be logged out who is not");
    assert_eq!(browser.session().len(), 1);
    redis.restart();
    assert!(eventually(|| matches!(other.log_in(&provider, "/").status, 303)));
    assert_eq!(other.go("/").status, 200);
}
