//! Policies: what they come to, and what is reported.

use super::*;
use crate::model::{
    Algorithm, Cost, KeyPart, Missing, OnLimit, Period, Policy, ReplyFields, State,
};

/// A configuration with these policies on the route `/users/{id}`.
fn route(policies: &str) -> String {
    format!(
        "listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\nroutes:\n  r:\n    match: {{ path: \"/users/{{id}}\" }}\n    reply: {{}}\n    policies:\n{policies}"
    )
}

fn of_route(policy: &str) -> Policy {
    let loaded = good(&route(&format!("      - {policy}\n")));
    loaded.config.routes["r"].policies.limits[0].clone()
}

/// The faults of these policies, without their places.
fn faults(policies: &[&str]) -> Vec<String> {
    let text: String = policies.iter().map(|policy| format!("      - {policy}\n")).collect();
    let faults = bad(&route(&text));
    faults.iter().map(|fault| fault.split_once(' ').unwrap().1.to_owned()).collect()
}

#[test]
fn what_is_left_out_has_its_default() {
    let Policy::RateLimit(policy) = of_route("rate_limit: { limit: 5, per: 1m }") else {
        panic!("another policy");
    };
    assert_eq!((&*policy.name, policy.limit, policy.per.as_secs()), ("rate_limit", 5, 60));
    assert_eq!(policy.algorithm, Algorithm::TokenBucket { burst: 5 });
    assert_eq!((policy.on_limit, policy.cost.clone()), (OnLimit::Refuse, Cost::Fixed(1)));
    assert_eq!((policy.by.parts.len(), policy.by.keys), (0, 1));
    assert_eq!(policy.fields, ReplyFields { standard: true, x: false });

    let Policy::Quota(policy) = of_route("quota: { by: ip, limit: 5, per: month }") else {
        panic!("another policy");
    };
    assert_eq!(policy.by.parts, [KeyPart::Ip { prefix4: 32, prefix6: 64 }]);
    assert_eq!((policy.by.missing, policy.by.keys), (Missing::OwnBucket, 100_000));
    assert_eq!((policy.per, &*policy.time_zone), (Period::Month, "UTC"));

    let Policy::Concurrency(policy) = of_route("concurrency: { limit: 5 }") else {
        panic!("another policy");
    };
    assert_eq!((policy.queue, policy.wait.as_secs()), (0, 1));
}

#[test]
fn everything_can_be_said() {
    let policy = of_route(
        "rate_limit: { name: per-user, by: [{ ip: { prefix4: 24, prefix6: 48 } }, { header: X-Key }, { param: id }, route], missing: refuse, keys: 10, limit: 10, per: 1s, burst: 20, cost: { header: X-Cost, default: 2, max: 5 }, on_limit: delay, max_delay: 3s, waiters: 7, headers: both }",
    );
    let Policy::RateLimit(policy) = policy else { panic!("another policy") };
    let expected = [
        KeyPart::Ip { prefix4: 24, prefix6: 48 },
        KeyPart::Header("x-key".into()),
        KeyPart::Param("id".into()),
        KeyPart::Route,
    ];
    assert_eq!(policy.by.parts, expected);
    assert_eq!(policy.cost, Cost::Header { name: "x-cost".into(), otherwise: 2, max: 5 });
    let delay = OnLimit::Delay { max_delay: std::time::Duration::from_secs(3), waiters: 7 };
    assert_eq!(policy.on_limit, delay);

    let loaded = good(
        "listeners: { w: { address: \"127.0.0.1:0\" } }\nstate: off\npolicies:\n  - quota: { limit: 3, per: day, time_zone: Europe/Berlin }\nservices: { s: { endpoints: [\"h:1\"], policies: [concurrency: { limit: 3, queue: 2, wait: 5s }] } }\n",
    );
    assert_eq!(loaded.config.process.state, State::Off);
    assert_eq!(loaded.config.process.policies.limits.len(), 1);
    assert_eq!(loaded.config.services["s"].policies.limits[0].kind(), "concurrency");
}

#[test]
fn impossible_limits_are_faults() {
    for (policy, expected) in [
        ("rate_limit: { limit: 0, per: 1s }", "a limit of zero lets nobody pass"),
        ("rate_limit: { limit: 1, per: 0s }", "a duration of zero makes no sense here"),
        ("rate_limit: { limit: 1, per: 40d }", "a rate limit counts over `1ms` to `31d`"),
        (
            "rate_limit: { limit: 5000, per: 1ms }",
            "more than a million requests a second is no limit",
        ),
        ("rate_limit: { limit: 1, per: 1s, burst: 0 }", "a limit of zero lets nobody pass"),
        (
            "rate_limit: { limit: 1, per: 31d, burst: 1000 }",
            "this bucket would need more than ten years to fill",
        ),
        (
            "rate_limit: { limit: 1, per: 1s, burst: 2, algorithm: sliding_window }",
            "a sliding window has no `burst`",
        ),
        ("rate_limit: { limit: 1, per: 1s, max_delay: 1s }", "nothing waits here"),
        (
            "rate_limit: { limit: 1, per: 1s, algorithm: sliding_window, on_limit: delay }",
            "a sliding window does not know when there will be room",
        ),
        (
            "rate_limit: { limit: 5, per: 1s, cost: 6 }",
            "a request of this cost never passes: at most 5 do",
        ),
        ("rate_limit: { limit: 5, per: 1s, cost: 0 }", "what costs nothing is not counted"),
        (
            "rate_limit: { limit: 5, per: 1s, cost: { header: x, default: 3, max: 2 } }",
            "the default is above `max`",
        ),
        ("rate_limit: { by: ip, keys: 0, limit: 5, per: 1s }", "0 keys cannot be kept"),
        ("quota: { limit: 0, per: day }", "a limit of zero lets nobody pass"),
        (
            "quota: { limit: 1, per: day, time_zone: Europe/Atlantis }",
            "there is no time zone `Europe/Atlantis`",
        ),
        ("concurrency: { limit: 0 }", "a limit of zero lets nobody pass"),
        ("concurrency: { limit: 1, wait: 1s }", "nothing waits here"),
        ("{}", "this is no policy"),
        (
            "{ quota: { limit: 1, per: day }, concurrency: { limit: 1 } }",
            "`quota` and `concurrency` are two policies",
        ),
        ("rate_limit: { name: \"a b\", limit: 1, per: 1s }", "`a b` is no name for a policy"),
    ] {
        assert_eq!(faults(&[policy]), [expected], "{policy}");
    }
    assert!(faults(&["rate_limits: { limit: 1, per: 1s }"])[0].contains("unknown key"));
    assert!(faults(&["quota: { limit: 1, per: week }"])[0].contains("week"));
}

#[test]
fn impossible_keys_are_faults() {
    for (by, expected) in [
        ("client", "`client` is no part of a key"),
        ("[ip, ip]", "this part of the key is here twice"),
        ("{ header: \"a b\" }", "`a b` is no name of a header field"),
        ("{ header: a, cookie: b }", "a part of a key is exactly one thing"),
        ("{}", "a part of a key is exactly one thing"),
        ("{ param: user }", "no path of this route has a parameter `user`"),
        ("{ ip: { prefix4: 33 } }", "an address has 32 bits"),
    ] {
        let policy = format!("rate_limit: {{ by: {by}, limit: 5, per: 1s }}");
        assert_eq!(faults(&[&policy]), [expected], "{by}");
    }
}

#[test]
fn limits_that_are_in_each_others_way_are_faults() {
    let twice = "rate_limit: { limit: 1, per: 1s }";
    assert_eq!(faults(&[twice, twice]), ["the rate_limit `rate_limit` is here twice"]);
    for (one, other, idle) in [
        (
            "rate_limit: { by: ip, limit: 100, per: 1m }",
            "rate_limit: { name: hour, by: ip, limit: 50, per: 1h }",
            Some("rate_limit `rate_limit`"),
        ),
        (
            "rate_limit: { by: ip, limit: 100, per: 1m }",
            "rate_limit: { name: b, by: ip, limit: 90, per: 1m }",
            Some("rate_limit `rate_limit`"),
        ),
        (
            "quota: { by: ip, limit: 100, per: day }",
            "quota: { name: b, by: ip, limit: 200, per: hour }",
            Some("quota `b`"),
        ),
        (
            "rate_limit: { by: ip, limit: 1000, per: 1s }",
            "quota: { by: ip, limit: 500, per: day }",
            Some("rate_limit `rate_limit`"),
        ),
        (
            "rate_limit: { by: ip, limit: 100, per: 1m }",
            "rate_limit: { name: b, limit: 50, per: 1h }",
            None,
        ),
        (
            "rate_limit: { by: ip, limit: 10, per: 1s }",
            "rate_limit: { name: b, by: ip, limit: 100, per: 1m }",
            None,
        ),
        (
            "rate_limit: { by: ip, limit: 100, per: 1m, burst: 5 }",
            "rate_limit: { name: b, by: ip, limit: 50, per: 1m, burst: 50 }",
            None,
        ),
    ] {
        match idle {
            Some(idle) => {
                assert_eq!(faults(&[one, other]), [format!("the {idle} can never be reached")]);
            }
            None => {
                good(&route(&format!("      - {one}\n      - {other}\n")));
            }
        }
    }
}
