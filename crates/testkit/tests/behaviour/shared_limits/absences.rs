//! Stores that are slow, full or gone, and come back.

use portcullis_testkit::redis::{Redis, RedisCluster, Setup, Watched, redis_is_here};
use portcullis_testkit::{Config, Gateway, TempDir, eventually, run_command};

use super::{address, ask, config, gateway, origin};

const EXACT: &str = "rate_limit: { by: { header: k }, limit: 3, per: 1d, store: limits }";

fn calls(gateway: &Gateway, result: &str) -> f64 {
    gateway.metric("portcullis_store_calls_total", &format!("result=\"{result}\""))
}

fn is_up(gateway: &Gateway) -> bool {
    gateway.metric("portcullis_store_up", "") > 0.0
}

fn many(gateway: &Gateway, key: &str) -> Vec<u16> {
    (0..6).map(|_| ask(gateway, key)).collect()
}

#[test]
fn a_store_that_stands_still_holds_nobody_up_and_is_found_again() {
    if !redis_is_here() {
        return;
    }
    let (redis, origin) = (Redis::start(), origin());
    let policy = format!(
        "{EXACT} }}, {{ rate_limit: {{ name: own, by: {{ header: k }}, limit: 30, per: 1d }}"
    );
    let store = "timeout: 20ms, on_failure: closed";
    let gateway = gateway(&origin, &policy, &address(&redis), store);
    assert!(eventually(|| is_up(&gateway)));
    redis.signal("STOP");
    assert_eq!(many(&gateway, "a"), [429; 6]);
    assert!(eventually(|| !is_up(&gateway)));
    // From now on it is not even asked.
    assert_eq!(many(&gateway, "b"), [429; 6]);
    assert!(calls(&gateway, "timeout") >= 5.0 && calls(&gateway, "skipped") >= 6.0);
    let fallbacks = gateway.metric("portcullis_store_fallbacks_total", "decision=\"closed\"");
    assert!(fallbacks >= 12.0, "{fallbacks}");
    let line = gateway.logged_request("/b");
    assert_eq!(
        (&line["store_bypassed"], &line["policy"]),
        (&"closed".into(), &"rate_limit".into())
    );
    assert_eq!(gateway.admin("GET", "/readyz").status, 200);
    redis.signal("CONT");
    assert!(eventually(|| is_up(&gateway)));
    assert_eq!(many(&gateway, "c")[..3], [200; 3]);
    // A local limit was not worn out by what was refused.
    let reply = gateway.ask(super::request("a"));
    assert!(
        reply.field("ratelimit").unwrap().contains("\"own\";r=29;"),
        "{:?}",
        reply.field("ratelimit")
    );
    let log = gateway.log();
    assert_eq!(log.matches("store does not answer").count(), 1, "{log}");
    assert_eq!(log.matches("store answers").count(), 2, "{log}");
}

/// How long requests took, in milliseconds.
fn took(gateway: &Gateway, path: &str) -> u64 {
    gateway.logged_request(path)["duration_us"].as_u64().unwrap() / 1000
}

/// However many limits ask however many stores and servers, a request waits only once.
#[test]
fn no_request_waits_longer_than_the_time_of_one_store() {
    if !redis_is_here() {
        return;
    }
    let (cluster, redis, origin) = (RedisCluster::start(), Redis::start(), origin());
    // None of them makes another idle.
    let limit = |name: &str, bound: &str, store: &str| {
        format!(
            "{{ rate_limit: {{ name: {name}, by: {{ header: k }}, {bound}, store: {store} }} }}"
        )
    };
    let bounds =
        [("a", "limit: 3, per: 1m"), ("b", "limit: 4, per: 1h"), ("c", "limit: 5, per: 1d")];
    let policies = bounds.map(|(name, bound)| limit(name, bound, "limits")).join(", ");
    let time = "timeout: 1s, on_failure: open";
    let config = Config::before(&origin)
        .route(&format!("policies: [{policies}, {}]", limit("d", "limit: 6, per: 2d", "other")))
        .also(&format!(
            "stores:\n  limits: {{ redis: {{ cluster: {} }}, {time} }}\n  other: {{ redis: {{ {} }}, {time} }}",
            cluster.addresses(),
            address(&redis)
        ));
    let gateway = Gateway::start(&config);
    assert_eq!(ask(&gateway, "before"), 200);
    cluster.nodes().iter().chain([&redis]).for_each(|server| server.signal("STOP"));
    assert_eq!(ask(&gateway, "after"), 200);
    let took = took(&gateway, "/after");
    // Not four times a second; less than two would be one and what a busy machine adds.
    assert!((900..2900).contains(&took), "{took}");
}

#[test]
fn without_the_store_every_gateway_counts_for_itself() {
    if !redis_is_here() {
        return;
    }
    let (mut redis, origin) = (Redis::start(), origin());
    let gateway = gateway(&origin, EXACT, &address(&redis), "on_failure: local, timeout: 1s");
    assert_eq!(ask(&gateway, "a"), 200);
    redis.kill();
    // One went to the store before, which this gateway has not forgotten.
    assert_eq!(many(&gateway, "a"), [200, 200, 429, 429, 429, 429]);
    assert_eq!(gateway.logged_request("/a")["store_bypassed"], serde_json::Value::Null);
    redis.restart();
    assert!(eventually(|| is_up(&gateway)));
    assert_eq!(many(&gateway, "a"), [200, 200, 200, 429, 429, 429]);
}

#[test]
fn an_open_policy_lets_all_pass_without_its_store() {
    if !redis_is_here() {
        return;
    }
    let (mut redis, origin) = (Redis::start(), origin());
    redis.kill();
    let gateway = gateway(&origin, EXACT, &address(&redis), "on_failure: open");
    assert_eq!(many(&gateway, "a"), [200; 6]);
    let line = gateway.logged_request("/a");
    assert_eq!(line["store_bypassed"], "open");
    assert_eq!(gateway.admin("GET", "/readyz").status, 200);
    redis.restart();
    assert!(eventually(|| is_up(&gateway)));
    assert_eq!(many(&gateway, "a"), [200, 200, 200, 429, 429, 429]);
}

#[test]
fn a_full_store_counts_nothing_until_it_has_room() {
    if !redis_is_here() {
        return;
    }
    let (redis, origin) = (Redis::start(), origin());
    let store = "on_failure: closed, timeout: 5s";
    let gateway = gateway(&origin, EXACT, &address(&redis), store);
    assert_eq!(ask(&gateway, "a"), 200);
    assert_eq!(redis.ask(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
    assert_eq!(many(&gateway, "a"), [429; 6]);
    assert!(calls(&gateway, "full") >= 1.0);
    assert_eq!(redis.ask(&["CONFIG", "SET", "maxmemory", "0"]), "OK");
    assert!(eventually(|| is_up(&gateway)));
    assert_eq!(many(&gateway, "a"), [200, 200, 429, 429, 429, 429]);
}

#[test]
fn what_was_taken_ahead_serves_on_without_the_store() {
    if !redis_is_here() {
        return;
    }
    let (redis, origin) = (Redis::start(), origin());
    let policy =
        "rate_limit: { by: { header: k }, limit: 100000, per: 1d, store: limits, mode: leased }";
    let gateway = gateway(&origin, policy, &address(&redis), "on_failure: closed, timeout: 5s");
    let held = || gateway.metric("portcullis_store_leased", "") > 20.0;
    assert!(eventually(|| ask(&gateway, "a") == 200 && held()));
    redis.signal("STOP");
    assert_eq!(many(&gateway, "a"), [200; 6]);
    redis.signal("CONT");
    let _ = gateway.logged_request("/a");
    let bypassed = |line: &serde_json::Value| !line["store_bypassed"].is_null();
    assert!(!gateway.logged_requests().iter().any(bypassed));
}

#[test]
fn a_failover_is_followed() {
    if !redis_is_here() {
        return;
    }
    let (mut watched, origin) = (Watched::start(), origin());
    let redis = format!("sentinel: {{ addresses: [\"{}\"], primary: limits }}", watched.address());
    let policy = "rate_limit: { by: { header: k }, limit: 1000, per: 1d, store: limits }";
    let gateway = gateway(&origin, policy, &redis, "on_failure: open, timeout: 1s");
    assert_eq!(ask(&gateway, "a"), 200);
    let [first, second] = watched.servers();
    let second = second.port();
    first.kill();
    // Nobody is refused meanwhile.
    assert!(eventually(|| {
        assert_eq!(ask(&gateway, "a"), 200);
        watched.primary() == second && is_up(&gateway)
    }));
    let [_, second] = watched.servers();
    assert!(eventually(|| ask(&gateway, "a") == 200 && !second.keys().is_empty()));
}

#[test]
fn passwords_are_never_shown() {
    if !redis_is_here() {
        return;
    }
    let (redis, origin) = (Setup::default().login("default", "0pen-sesame").start(), origin());
    let dir = TempDir::new();
    let with = |password: &str| {
        let file = dir.write("password", password);
        format!("{}, password: \"file:{}\"", address(&redis), file.display())
    };
    let gateway = gateway(&origin, EXACT, &with("0pen-sesame"), "on_failure: closed, timeout: 5s");
    assert_eq!(ask(&gateway, "a"), 200);
    gateway.write_config(&config(&origin, EXACT, &with("wr0ng-sesame"), "on_failure: closed"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(ask(&gateway, "b"), 429);
    assert!(eventually(|| calls(&gateway, "refused") >= 1.0));
    let config = gateway.config_path();
    let explain = ["explain", "GET", "http://a.example/a", "--config", config.to_str().unwrap()];
    let output = run_command(&explain, gateway.dir().path());
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("counted in the store `limits` (exact)"), "{told}");
    let all = format!("{told}{}{}", gateway.log(), gateway.admin("GET", "/metrics").text());
    assert!(!all.contains("sesame"), "{all}");
    assert!(gateway.wait_for_log("store does not answer").contains("refused"));
}
