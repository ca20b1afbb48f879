//! Choosing among the endpoints of services that are written as configurations.

use portcullis_config::{Format, Loader};
use proptest::prelude::*;

use super::hash::nth;
use super::*;
use crate::Compiler;
use crate::snapshot::{ActiveRequest, Verdict};
use crate::upstream::sticky::Told;

/// A gateway of one service, which reloads.
struct Gateway {
    loader: Loader,
    compiler: Compiler,
    service: Arc<CompiledService>,
}

fn yaml(service: &str) -> String {
    format!(
        "listeners: {{ w: {{ address: \"127.0.0.1:0\" }} }}\nzone: a\nservices: {{ s: {{ {service} }} }}\n"
    )
}

/// So many endpoints, as they are written.
fn endpoints(count: usize) -> String {
    let list: Vec<String> =
        (1..=count).map(|i| format!("\"10.0.{}.{}:80\"", i / 250, i % 250)).collect();
    format!("endpoints: [{}]", list.join(", "))
}

impl Gateway {
    fn new(service: &str) -> Gateway {
        let mut loader = Loader::from_text("g.yaml", yaml(service), Format::Yaml);
        let mut compiler = Compiler::new(8);
        let loaded = loader.load().unwrap();
        let compiled = compiler.compile(&loaded.config, &loaded.changes).unwrap();
        let service = compiled.snapshot.services[0].clone().unwrap();
        compiler.commit(compiled);
        Gateway { loader, compiler, service }
    }

    /// Takes another configuration, as a reload does.
    fn reload(&mut self, service: &str) {
        self.loader = Loader::from_text("g.yaml", yaml(service), Format::Yaml);
        let loaded = self.loader.load().unwrap();
        let compiled = self.compiler.compile(&loaded.config, &loaded.changes).unwrap();
        self.service = compiled.snapshot.services[0].clone().unwrap();
        self.compiler.commit(compiled);
    }

    /// An endpoint becomes available or ceases to be, and everybody sees it.
    fn set(&self, endpoint: usize, verdict: Verdict) {
        self.service.endpoints[endpoint].health.set_verdict(verdict);
        self.service.state.refresh(&self.service);
    }

    fn view(&self) -> Arc<Numbered> {
        self.service.views.newest()
    }
}

fn counts(chosen: impl Iterator<Item = usize>, endpoints: usize) -> Vec<usize> {
    let mut counts = vec![0; endpoints];
    chosen.for_each(|endpoint| counts[endpoint] += 1);
    counts
}

/// What workers choose that have so many requests each.
fn spread(service: &CompiledService, requests: &[usize]) -> Vec<usize> {
    let choice = Choice::default();
    let chosen = requests.iter().enumerate().flat_map(|(worker, &requests)| {
        let mut choosers = Choosers::default();
        let one = move |_| choosers.choose(service, worker, &choice).unwrap();
        (0..requests).map(one).collect::<Vec<_>>()
    });
    counts(chosen, service.endpoints.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn turns_are_even_however_requests_fall_upon_workers(
        requests in prop::collection::vec(0usize..400, 1..9),
    ) {
        let gateway = Gateway::new(&endpoints(5));
        let total: usize = requests.iter().sum();
        for count in spread(&gateway.service, &requests) {
            // No worker is off by more than one request an endpoint, whatever the others do.
            prop_assert!(count.abs_diff(total / 5) <= requests.len(), "{count} of {total}");
        }
    }
}

#[test]
fn idle_services_are_spread_evenly_by_least_requests_too() {
    for count in [5, 20] {
        let gateway = Gateway::new(&format!("{}, balance: least_requests", endpoints(count)));
        for requests in spread(&gateway.service, &[400, 0, 30, 70]) {
            assert!(requests.abs_diff(500 / count) <= 4, "{requests} of {}", 500 / count);
        }
    }
}

#[test]
fn whoever_has_fewer_requests_gets_the_next() {
    let written =
        r#"endpoints: [{ address: "a:1", weight: 2 }, "b:1", "c:1"], balance: least_requests"#;
    let gateway = Gateway::new(written);
    let service = &*gateway.service;
    let begin =
        |i: usize| ActiveRequest::begin(service, &*service.endpoints[i], &*service.state, 0);
    let mut under_way = Vec::new();
    let mut choosers = Choosers::default();
    for _ in 0..40 {
        let chosen = choosers.choose(service, 0, &Choice::default()).unwrap();
        under_way.push(begin(chosen));
    }
    let active = |i: usize| service.endpoints[i].active.load(Relaxed);
    assert_eq!([active(0), active(1), active(2)], [20, 10, 10]);
    assert_eq!(service.state.active.load(Relaxed), 40);
    drop(under_way);
    assert_eq!([active(0), service.state.active.load(Relaxed)], [0, 0]);
}

#[test]
fn of_two_the_faster_one_is_chosen() {
    for count in [3, 12] {
        let gateway = Gateway::new(&format!("{}, balance: peak_ewma", endpoints(count)));
        let (service, view) = (&*gateway.service, gateway.view());
        let decay = Duration::from_secs(10);
        let mut turn = Turn::first(7, 0);
        let mut chosen = vec![0; count];
        for n in 0..3000 {
            let now_ms = 1000 + n;
            let draw = Draw { turn: turn.take(), random: nth(5, n), now_ms };
            let endpoint = view.choose(service, &Choice::default(), draw).unwrap();
            chosen[endpoint] += 1;
            let took = Duration::from_millis(if endpoint == 1 { 200 } else { 5 });
            service.endpoints[endpoint].latency.note(took, false, now_ms, decay);
        }
        assert!(chosen[1] <= 3, "{chosen:?}");
        assert!(chosen.iter().all(|&count| count > 0), "everybody is tried: {chosen:?}");
    }
}

#[test]
fn a_failing_endpoint_is_not_taken_for_a_fast_one() {
    let gateway = Gateway::new(&format!("{}, balance: peak_ewma", endpoints(3)));
    let (service, view) = (&*gateway.service, gateway.view());
    let decay = Duration::from_secs(10);
    let mut turn = Turn::first(7, 0);
    let chosen = (0..1000).map(|n| {
        let draw = Draw { turn: turn.take(), random: nth(6, n), now_ms: 1000 + n };
        let endpoint = view.choose(service, &Choice::default(), draw).unwrap();
        let (took, failed) = if endpoint == 0 { (1, true) } else { (5_000, false) };
        service.endpoints[endpoint].latency.note(
            Duration::from_micros(took),
            failed,
            1000 + n,
            decay,
        );
        endpoint
    });
    assert!(counts(chosen, 3)[0] <= 2);
}

fn keyed(key: u64) -> Choice<'static> {
    Choice { key: Some(key), ..Choice::default() }
}

#[test]
fn equal_requests_go_to_the_same_endpoint_whoever_takes_them() {
    for algorithm in ["maglev", "ring"] {
        let hash = format!("balance: {{ hash: {{ by: ip, algorithm: {algorithm} }} }}");
        let gateway = Gateway::new(&format!("{}, {hash}", endpoints(7)));
        let (mut one, mut other) = (Choosers::default(), Choosers::default());
        for key in 0..500 {
            let choice = keyed(nth(1, key));
            let chosen = one.choose(&gateway.service, 0, &choice);
            assert_eq!(chosen, other.choose(&gateway.service, 3, &choice));
            // The next one takes over where it fails, always the same.
            let tried = [chosen.unwrap()];
            let again = Choice { tried: &tried, ..choice };
            let next = one.choose(&gateway.service, 0, &again);
            assert_ne!(next, chosen);
            assert_eq!(next, other.choose(&gateway.service, 3, &again));
        }
        // What has no key takes its turn.
        assert!(spread(&gateway.service, &[70]).iter().all(|&count| count == 10));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn nobody_has_more_than_the_bound(skew in 1u64..50, seed: u64) {
        let hash = "balance: { hash: { by: ip, bounded_load: 1.25 } }";
        let gateway = Gateway::new(&format!("{}, {hash}", endpoints(8)));
        let service = &*gateway.service;
        let mut choosers = Choosers::default();
        let mut under_way = Vec::new();
        for n in 0..600u64 {
            // A few keys are asked for far more often than others.
            let draw = nth(seed, n);
            let key = if draw.is_multiple_of(3) { draw } else { draw % skew };
            let chosen = choosers.choose(service, 0, &keyed(nth(2, key))).unwrap();
            let endpoint = &*service.endpoints[chosen];
            under_way.push(ActiveRequest::begin(service, endpoint, &*service.state, 0));
            let all = under_way.len() as f64;
            let bound = (1.25 * all / 8.0).ceil().max(1.0);
            prop_assert!(endpoint.active.load(Relaxed) as f64 <= bound, "of {all}");
            if under_way.len() > 200 {
                under_way.swap_remove((nth(seed, n + 1) % 200) as usize);
            }
        }
    }
}

#[test]
fn another_is_chosen_where_one_was_tried() {
    let written = r#"endpoints: ["a:1", { address: "b:1", zone: b }, { address: "c:1", zone: a, priority: 1 }, { address: "d:1", weight: 0 }]"#;
    let gateway = Gateway::new(&written.replace("\"a:1\"", "{ address: \"a:1\", zone: a }"));
    let mut choosers = Choosers::default();
    let mut choose = |tried: &[usize]| {
        choosers.choose(&gateway.service, 0, &Choice { tried, ..Choice::default() })
    };
    assert_eq!(choose(&[]), Some(0));
    // The other zone comes before the other level; what weighs nothing comes never.
    assert_eq!(choose(&[0]), Some(1));
    assert_eq!(choose(&[0, 1]), Some(2));
    assert_eq!(choose(&[0, 1, 2]), Some(0), "there is no other");
}

#[test]
fn nobody_is_chosen_where_nobody_is_left() {
    let off = "availability: { panic_below: 0% }";
    let gateway = Gateway::new(&format!("{}, {off}", endpoints(2)));
    let mut choosers = Choosers::default();
    gateway.set(0, Verdict::Unhealthy);
    assert!((0..9).all(|_| choosers.choose(&gateway.service, 0, &Choice::default()) == Some(1)));
    gateway.set(1, Verdict::Unhealthy);
    assert_eq!(choosers.choose(&gateway.service, 0, &Choice::default()), None);
    assert_eq!(gateway.view().available(), 0);
    // Unless nobody believes it.
    let gateway = Gateway::new(&endpoints(2));
    gateway.set(0, Verdict::Unhealthy);
    gateway.set(1, Verdict::Unhealthy);
    assert!(gateway.view().is_panicking());
    assert!(choosers.choose(&gateway.service, 0, &Choice::default()).is_some());
}

#[test]
fn a_client_stays_where_it_was_as_long_as_it_can() {
    let written = r#"endpoints: ["a:1", "b:1", { address: "c:1", weight: 0 }], sticky: {}"#;
    let gateway = Gateway::new(written);
    let mut choosers = Choosers::default();
    let mut choose = |stuck, tried: &[usize]| {
        let choice = Choice { tried, stuck: Some(stuck), key: None };
        choosers.choose(&gateway.service, 0, &choice).unwrap()
    };
    for _ in 0..5 {
        assert_eq!(choose(1, &[]), 1);
        assert_eq!(choose(2, &[]), 2, "it takes no new clients, but keeps those that it has");
        assert_eq!(choose(1, &[1]), 0);
    }
    gateway.set(1, Verdict::Unhealthy);
    assert_eq!(choose(1, &[]), 0);
    gateway.set(0, Verdict::Unhealthy);
    assert_eq!(choose(1, &[]), 1, "nobody believes that all are down");
}

#[test]
fn a_reload_resets_nothing() {
    let written = |more: &str| {
        format!(
            "endpoints: [\"a:1\", \"b:1\"{more}], balance: peak_ewma, sticky: {{}}, slow_start: {{ window: 1h }}"
        )
    };
    let mut gateway = Gateway::new(&written(""));
    let old = Arc::clone(&gateway.service);
    old.endpoints[0].latency.note(Duration::from_millis(9), false, 5, Duration::from_secs(10));
    let _active =
        ActiveRequest::begin(&old, Arc::clone(&old.endpoints[1]), Arc::clone(&old.state), 3);
    gateway.set(1, Verdict::Unhealthy);
    std::thread::sleep(Duration::from_millis(2));
    gateway.set(1, Verdict::Healthy);
    let warm = gateway.view().share(1);
    assert!(warm < 0.15, "it has only just come back: {warm}");
    let cookie = |service: &CompiledService, endpoint| {
        let (mut text, mut added) = (Vec::new(), portcullis_wire::Fields::default());
        let clock = || std::time::UNIX_EPOCH;
        service.sticky.as_ref().unwrap().issue(endpoint, false, clock, &mut text, &mut added);
        text
    };
    let had = cookie(&old, 1);

    gateway.reload(&written(", \"c:1\""));
    let new = &*gateway.service;
    assert!(Arc::ptr_eq(&old.state, &new.state));
    assert!(Arc::ptr_eq(&old.endpoints[0], &new.endpoints[0]));
    assert!(new.endpoints[0].latency.now(5, Duration::from_secs(10)).is_some());
    assert_eq!(new.endpoints[1].active.load(Relaxed), 1);
    assert_eq!(new.endpoints[1].metrics.shard(3).active.value(), 1);
    // It goes on warming up, and the new one begins to.
    let view = gateway.view();
    assert!((view.share(1) - view.share(2)).abs() < 0.01 && view.share(0) > 0.8);
    assert!(view.next_step().is_some());
    assert_eq!(cookie(new, 1), had);
    let mut fields = portcullis_wire::Fields::default();
    let pair = had.split(|&byte| byte == b';').next().unwrap();
    fields.push(b"cookie", pair);
    assert_eq!(
        new.sticky.as_ref().unwrap().read(&fields, || std::time::UNIX_EPOCH),
        Told::Endpoint(1)
    );
    // Who is gone is forgotten, and its clients choose anew.
    gateway.reload("endpoints: [\"a:1\"], sticky: {}");
    assert_eq!(
        gateway.service.sticky.as_ref().unwrap().read(&fields, || std::time::UNIX_EPOCH),
        Told::Nobody
    );
}

#[test]
fn turns_go_on_across_views_and_services_do_not_mix() {
    let mut gateway = Gateway::new(&endpoints(2));
    let mut choosers = Choosers::default();
    let old = Arc::clone(&gateway.service);
    let first = choosers.choose(&old, 0, &Choice::default()).unwrap();
    gateway.service.state.refresh(&gateway.service);
    assert_ne!(choosers.choose(&old, 0, &Choice::default()), Some(first));
    // A request of before the reload and one of after it, side by side on one worker.
    gateway.reload("endpoints: [\"z:1\"]");
    for _ in 0..3 {
        assert_eq!(choosers.choose(&gateway.service, 0, &Choice::default()), Some(0));
        assert!(choosers.choose(&old, 0, &Choice::default()).is_some());
    }
}

#[test]
fn the_zone_of_the_gateway_may_change() {
    let written = r#"endpoints: [{ address: "a:1", zone: a }, { address: "b:1", zone: b }]"#;
    let mut gateway = Gateway::new(written);
    assert_eq!(gateway.view().share(0), 1.0);
    let other = yaml(written).replace("zone: a\nservices", "zone: b\nservices");
    gateway.loader = Loader::from_text("g.yaml", other, Format::Yaml);
    let loaded = gateway.loader.load().unwrap();
    let compiled = gateway.compiler.compile(&loaded.config, &loaded.changes).unwrap();
    let service = compiled.snapshot.services[0].clone().unwrap();
    assert_eq!(service.views.newest().share(1), 1.0);
}

#[tokio::test]
async fn what_changes_while_a_configuration_is_compiled_is_shown() {
    let gateway = Gateway::new(&endpoints(2));
    let service = Arc::clone(&gateway.service);
    // The health thread speaks after the view was made and before anybody follows it.
    service.endpoints[0].health.set_verdict(Verdict::Unhealthy);
    service.state.changed();
    let snapshot = Snapshot { services: vec![Some(Arc::clone(&service))], ..Snapshot::default() };
    let (sender, snapshots) = tokio::sync::watch::channel(Arc::default());
    let tending = tokio::spawn(gateway.compiler.tend(snapshots));
    sender.send_replace(Arc::new(snapshot));
    while service.views.newest().available() != 1 {
        tokio::task::yield_now().await;
    }
    service.endpoints[0].health.set_verdict(Verdict::Healthy);
    service.state.changed();
    while service.views.newest().available() != 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(sender);
    tending.await.unwrap();
}
