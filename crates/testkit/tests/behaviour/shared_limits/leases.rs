//! The script of shares on a real server, as a gateway calls it.

use std::thread::sleep;
use std::time::Duration;

use portcullis_testkit::redis::{Redis, redis_is_here};

const COUNTING: &str = include_str!("../../../../policies/src/shared/script/counting.lua");
const LEASE: &str = include_str!("../../../../policies/src/shared/script/lease.lua");
/// A limit of 100 in a period that lasts ten hours yet.
const PERIOD: [&str; 5] = ["p", "100", "30000000", "36000000000", "0"];
const LASTS_US: u64 = 10_000_000;

/// What a node tells and wants.
#[derive(Clone, Copy)]
struct Order {
    node: &'static str,
    have: u64,
    back: u64,
    want: u64,
    lasts: u64,
}

const ORDER: Order = Order { node: "a", have: 0, back: 0, want: 0, lasts: LASTS_US };

/// What was granted, what is left, the wait.
fn lease(redis: &Redis, order: Order) -> [u64; 3] {
    let script = format!("{COUNTING}\n{LEASE}");
    let numbers = [order.have, order.back, 0, order.want, 1, order.lasts].map(|n| n.to_string());
    let mut call = vec!["EVAL", &script, "1", "k"];
    call.extend(PERIOD);
    call.push(order.node);
    call.extend(numbers.iter().map(String::as_str));
    let answer = redis.ask(&call);
    let numbers: Vec<u64> = answer.lines().filter_map(|line| line.parse().ok()).collect();
    numbers.first_chunk().copied().unwrap_or_else(|| panic!("{answer}"))
}

/// What the server takes as used.
fn used(redis: &Redis) -> u64 {
    let state = redis.ask(&["HGET", "k", "s"]);
    state.rsplit(':').next().unwrap().parse().unwrap()
}

#[test]
fn a_share_that_follows_one_that_ran_out_is_known() {
    if !redis_is_here() {
        return;
    }
    let redis = Redis::start();
    assert_eq!(lease(&redis, Order { want: 40, lasts: 1000, ..ORDER })[0], 40);
    sleep(Duration::from_millis(20));
    // All of it counts as used. What comes now is held.
    assert_eq!(lease(&redis, Order { want: 30, ..ORDER })[..2], [30, 30]);
    assert_eq!(used(&redis), 40);
    // The node has used it, and says so by having none.
    lease(&redis, ORDER);
    assert_eq!(used(&redis), 70);
    assert_eq!(lease(&redis, Order { node: "b", want: 100, ..ORDER })[1], 15);
}

#[test]
fn what_others_hold_is_waited_for_no_longer_than_it_takes_to_come_back() {
    if !redis_is_here() {
        return;
    }
    let redis = Redis::start();
    assert_eq!(lease(&redis, Order { want: 50, ..ORDER })[0], 50);
    let b = Order { node: "b", want: 50, ..ORDER };
    let wait = loop {
        // What it was granted before is used.
        let [granted, _, wait] = lease(&redis, b);
        if granted == 0 {
            break wait;
        }
    };
    assert_eq!((used(&redis), wait), (50, 1_000_000));
    lease(&redis, Order { back: 50, ..ORDER });
    assert_eq!(lease(&redis, b)[0], 25);
    // Where nobody holds anything there is nothing to be had before the period ends.
    while lease(&redis, b)[0] > 0 {}
    assert_eq!(lease(&redis, b)[2], 36_000_000_000);
}
