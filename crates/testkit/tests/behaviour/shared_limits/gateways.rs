//! Three gateways that count together.

use std::thread;
use std::time::Instant;

use portcullis_testkit::redis::{Redis, RedisCluster, redis_is_here};
use portcullis_testkit::{Client, Gateway, Origin, eventually};

use super::{address, ask, config, gateway, request};

/// The store of a test that a busy machine must not upset.
const PATIENT: &str = "timeout: 5s, on_failure: closed";

/// How many requests pass when so many clients of each gateway ask so often at once.
fn passed(gateways: &[Gateway], clients: usize, requests: usize, key: &str) -> usize {
    let ask = |gateway: &Gateway| {
        let mut client = Client::connect(gateway.address());
        let statuses = (0..requests).map(|_| client.ask(request(key)).status);
        statuses.filter(|status| *status == 200).count()
    };
    thread::scope(|scope| {
        let each = gateways.iter().flat_map(|gateway| (0..clients).map(move |_| gateway));
        let threads: Vec<_> = each.map(|gateway| scope.spawn(move || ask(gateway))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    })
}

fn three(origin: &Origin, policy: &str, redis: &str) -> Vec<Gateway> {
    (0..3).map(|_| gateway(origin, policy, redis, PATIENT)).collect()
}

const LIMIT: &str = "by: { header: k }, store: limits";

#[test]
fn exact_lets_not_one_too_many_pass() {
    if !redis_is_here() {
        return;
    }
    let (redis, origin) = (Redis::start(), Origin::echo());
    for (number, policy) in [
        format!("rate_limit: {{ {LIMIT}, limit: 100, per: 1d }}"),
        format!("rate_limit: {{ {LIMIT}, limit: 100, per: 31d, algorithm: sliding_window }}"),
        format!("quota: {{ {LIMIT}, limit: 100, per: month }}"),
    ]
    .iter()
    .enumerate()
    {
        let gateways = three(&origin, policy, &address(&redis));
        assert_eq!(passed(&gateways, 3, 40, &format!("k{number}")), 100, "{policy}");
    }
}

#[test]
fn exact_counts_in_a_cluster_too() {
    if !redis_is_here() {
        return;
    }
    let (cluster, origin) = (RedisCluster::start(), Origin::echo());
    let policy = format!("rate_limit: {{ {LIMIT}, limit: 50, per: 1d }}");
    let gateways = three(&origin, &policy, &format!("cluster: {}", cluster.addresses()));
    for key in ["a", "b", "c"] {
        assert_eq!(passed(&gateways, 2, 20, key), 50);
    }
}

#[test]
fn what_is_left_is_told_by_every_gateway() {
    if !redis_is_here() {
        return;
    }
    let (redis, origin) = (Redis::start(), Origin::echo());
    let policy = format!("rate_limit: {{ {LIMIT}, limit: 5, per: 1h }}");
    let gateways = three(&origin, &policy, &address(&redis));
    for (left, gateway) in [4, 3, 2].into_iter().zip(&gateways) {
        let reply = gateway.ask(request("a"));
        let told = reply.field("ratelimit").unwrap();
        assert!(told.starts_with(&format!("\"rate_limit\";r={left};t=")), "{told}");
    }
    passed(&gateways, 1, 1, "a");
    let reply = gateways[0].ask(request("a"));
    assert_eq!(reply.status, 429);
    let retry: u64 = reply.field("retry-after").unwrap().parse().unwrap();
    assert!((1..=720).contains(&retry), "{retry}");
    assert_eq!(reply.field("ratelimit"), Some(&*format!("\"rate_limit\";r=0;t={retry}")));
}

#[test]
fn limits_that_refuse_cost_nothing_with_the_others() {
    if !redis_is_here() {
        return;
    }
    let (redis, origin) = (Redis::start(), Origin::echo());
    let policies = format!(
        "rate_limit: {{ name: wide, {LIMIT}, limit: 10, per: 31d }} }}, \
         {{ rate_limit: {{ name: narrow, {LIMIT}, limit: 2, per: 1d }} }}, \
         {{ rate_limit: {{ name: here, by: {{ header: k }}, limit: 5, per: 1d }}"
    );
    let gateways = three(&origin, &policies, &address(&redis));
    assert_eq!(passed(&gateways, 1, 4, "a"), 2);
    let told = gateways[0].ask(request("a"));
    let told = told.field("ratelimit").unwrap();
    assert!(told.contains("\"wide\";r=8;") && told.contains("\"narrow\";r=0;"), "{told}");
}

#[test]
fn leased_lets_at_most_one_in_a_hundred_too_many_pass() {
    if !redis_is_here() {
        return;
    }
    let (redis, origin) = (Redis::start(), Origin::echo());
    let policy = format!("rate_limit: {{ {LIMIT}, limit: 1000, per: 31d, mode: leased }}");
    let gateways = three(&origin, &policy, &address(&redis));
    let all = passed(&gateways, 3, 200, "a");
    assert!((950..=1010).contains(&all), "{all}");
    // Nearly all of them found a share.
    let misses: f64 =
        gateways.iter().map(|g| g.metric("portcullis_store_lease_misses_total", "")).sum();
    println!("leased: {all} of 1000 passed, {misses} of 1800 asked the store");
    assert!(misses < 600.0, "{misses}");
    // One gateway alone can use what there is as well.
    let one = passed(&gateways[..1], 3, 400, "b");
    assert!((950..=1010).contains(&one), "{one}");
}

#[test]
fn leased_keeps_to_the_rate() {
    if !redis_is_here() {
        return;
    }
    let (redis, origin) = (Redis::start(), Origin::echo());
    let policy = format!("rate_limit: {{ {LIMIT}, limit: 300, per: 1s, mode: leased }}");
    let gateways = three(&origin, &policy, &address(&redis));
    let started = Instant::now();
    let all = passed(&gateways, 2, 400, "a") as f64;
    let most = 300.0 + 300.0 * started.elapsed().as_secs_f64();
    println!("leased: {all} passed where {most:.0} may");
    assert!(all <= most * 1.01, "{all} of {most}");
}

#[test]
fn a_quota_is_leased_too() {
    if !redis_is_here() {
        return;
    }
    let (redis, origin) = (Redis::start(), Origin::echo());
    let policy = format!("quota: {{ {LIMIT}, limit: 200, per: month, mode: leased }}");
    let gateways = three(&origin, &policy, &address(&redis));
    let mut all = passed(&gateways, 2, 60, "a");
    // What the others took ahead and do not use comes to whoever needs it.
    assert!(eventually(|| {
        all += usize::from(ask(&gateways[0], "a") == 200);
        all >= 200
    }));
    all += passed(&gateways, 1, 10, "a");
    assert_eq!(all, 200);
}

#[test]
fn a_reload_keeps_shares_and_can_move_to_another_store() {
    if !redis_is_here() {
        return;
    }
    let (redis, other, origin) = (Redis::start(), Redis::start(), Origin::echo());
    let policy = format!("rate_limit: {{ {LIMIT}, limit: 4, per: 1d }}");
    let gateway = gateway(&origin, &policy, &address(&redis), PATIENT);
    let only = std::slice::from_ref(&gateway);
    assert_eq!(passed(only, 1, 3, "a"), 3);
    gateway.write_config(&config(&origin, &policy, &address(&redis), "timeout: 4s"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(passed(only, 1, 3, "a"), 1);
    gateway.write_config(&config(&origin, &policy, &address(&other), PATIENT));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(passed(only, 1, 9, "a"), 4);
    assert!(!other.keys().is_empty());
}
