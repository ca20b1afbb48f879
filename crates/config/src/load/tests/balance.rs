//! How requests are spread over endpoints: what is meant, and what is wrong with it.

use std::time::Duration;

use super::*;
use crate::model::{Balance, HashAlgorithm, HashPart, SameSite, Secret, Service};

fn service(more: &str) -> String {
    format!(
        "listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\nservices:\n  s: {{ endpoints: [\"h:1\"], {more} }}\n"
    )
}

fn meant(more: &str) -> Arc<Service> {
    Arc::clone(&good(&service(more)).config.services["s"])
}

#[test]
fn every_way_to_choose_is_understood() {
    assert_eq!(meant("").balance, Balance::RoundRobin);
    assert_eq!(meant("balance: least_requests").balance, Balance::LeastRequests);
    let decay = |seconds| Balance::PeakEwma { decay: Duration::from_secs(seconds) };
    assert_eq!(meant("balance: peak_ewma").balance, decay(10));
    assert_eq!(meant("balance: { peak_ewma: { decay: 3s } }").balance, decay(3));
    let Balance::Hash(hash) = meant("balance: { hash: { by: ip } }").balance.clone() else {
        panic!("not a hash")
    };
    assert_eq!((hash.by, hash.bounded_load), (vec![HashPart::Ip], None));
    assert_eq!(hash.algorithm, HashAlgorithm::Maglev);
    let all = "balance: { hash: { by: [{ header: X-User }, { cookie: c }, { query: q }, { param: id }], algorithm: ring, bounded_load: 1.25 } }";
    let Balance::Hash(hash) = meant(all).balance.clone() else { panic!("not a hash") };
    assert_eq!(hash.by[0], HashPart::Header("x-user".into()));
    assert_eq!((hash.by.len(), hash.algorithm), (4, HashAlgorithm::Ring));
    assert_eq!(hash.bounded_load, Some(1.25));
}

#[test]
fn what_stands_beside_it_is_understood() {
    let service = meant("sticky: {}, slow_start: { window: 30s }");
    let sticky = service.sticky.as_deref().unwrap();
    assert_eq!((sticky.cookie.as_deref(), &*sticky.path, sticky.secure), (None, "/", None));
    assert_eq!((sticky.http_only, sticky.same_site), (true, SameSite::Lax));
    assert!(sticky.max_age.is_none() && sticky.key.is_none());
    assert_eq!(service.slow_start.unwrap().min_share, 0.1);
    let key = "0123456789abcdef0123456789abcdef";
    let more = format!(
        "sticky: {{ cookie: __Host-s, secure: true, same_site: none, max_age: 1h, key: {key} }}, availability: {{ spill_below: 50%, panic_below: 0% }}"
    );
    let service = meant(&more);
    let sticky = service.sticky.as_deref().unwrap();
    assert_eq!(sticky.key, Some(Secret::new(key)));
    assert!(!format!("{service:?}").contains(key), "secrets are not shown");
    assert_eq!(service.availability.spill_below, 0.5);
    assert_eq!(service.availability.panic_below, 0.0);
    let more = "endpoints: [{ address: \"h:1\", zone: a }, { address: \"h:2\", priority: 1 }]";
    let text = service_of(more);
    let config = good(&text).config;
    let endpoints = &config.services["s"].endpoints;
    assert_eq!((endpoints[0].zone.as_deref(), endpoints[0].priority), (Some("a"), 0));
    assert_eq!((endpoints[1].zone.as_deref(), endpoints[1].priority), (None, 1));
}

fn service_of(all: &str) -> String {
    format!("listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\nservices:\n  s: {{ {all} }}\n")
}

#[track_caller]
fn fault(more: &str, wanted: &str) {
    let told = bad(&service(more));
    assert!(told.iter().any(|fault| fault.contains(wanted)), "{told:?}");
}

#[test]
fn faults_are_told() {
    fault("balance: roundrobin", "`roundrobin` is not known here");
    fault("balance: { }", "endpoints are chosen in one way");
    fault("balance: { hash: { by: ip }, peak_ewma: {} }", "endpoints are chosen in one way");
    fault("balance: { hash: { } }", "`by`");
    fault("balance: { hash: { by: [] } }", "nothing to hash");
    fault("balance: { hash: { by: [ip, ip] } }", "hashed twice");
    fault("balance: { hash: { by: { header: a, cookie: b } } }", "one thing of the request");
    fault("balance: { hash: { by: { header: \"a b\" } } }", "no header name");
    fault("balance: { hash: { by: { cookie: \"a;b\" } } }", "no name of a cookie");
    fault("balance: { hash: { by: { query: \"\" } } }", "a name is missing");
    fault("balance: { hash: { by: ip, bounded_load: 1.0 } }", "more than its share");
    fault("balance: { hash: { by: ip, algorithm: rendezvous } }", "`rendezvous` is not known here");
    fault("balance: { peak_ewma: { decay: 0s } }", "zero makes no sense");
    fault("slow_start: { window: 0s }", "zero makes no sense");
    fault("slow_start: { window: 1s, min_share: 0% }", "never warms up");
    fault("slow_start: { }", "`window`");
    fault("availability: { spill_below: 110% }", "`110%`");
    fault("sticky: { key: short }", "too short to be a secret");
    fault("sticky: { cookie: \"a=b\" }", "no name of a cookie");
    fault("sticky: { cookie: __Host-a }", "unless it is `Secure`");
    fault("sticky: { cookie: __host-a, secure: true, path: /a }", "unless its path is `/`");
    fault("sticky: { same_site: none }", "unless it is `Secure`");
    fault("sticky: { path: a }", "no path of a cookie");
    fault("sticky: { path: \"/a;b\" }", "no path of a cookie");
    fault("sticky: { max_age: 0s }", "zero makes no sense");
    fault("sticky: { max_age: 10ms }", "counts in seconds");
    let told = bad("listeners: { w: { address: \"127.0.0.1:0\" } }\nzone: \"\"\n");
    assert!(told[0].contains("no name of a zone"), "{told:?}");
}

#[test]
fn levels_are_looked_at_together() {
    let told = |endpoints: &str| bad(&service_of(&format!("endpoints: [{endpoints}]")));
    let gap = told("{ address: \"h:1\" }, { address: \"h:2\", priority: 2 }");
    assert!(gap[0].contains("no endpoint has priority 1"), "{gap:?}");
    let idle = told("{ address: \"h:1\" }, { address: \"h:2\", priority: 1, weight: 0 }");
    assert!(idle[0].contains("nobody of priority 1"), "{idle:?}");
    let high = told("{ address: \"h:1\", priority: 16 }");
    assert!(high[0].contains("the last priority level is 15"), "{high:?}");
    assert!(told("{ address: \"h:1\" }, { address: \"h:2\", priority: 1 }").is_empty());
}
