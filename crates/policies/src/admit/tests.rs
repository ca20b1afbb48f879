//! Several policies at once: all or none.

use std::sync::Arc;
use std::time::Duration;

use portcullis_config::model::{Algorithm, OnLimit, RateLimit};

use super::*;
use crate::registry::{Registry, Scope};
use crate::testing::{self, concurrency, quota, rate_limit};

const SECOND: Duration = Duration::from_secs(1);

fn at(seconds: u64) -> Now {
    Now { steady: seconds * 1_000_000_000, wall: || 1_800_000_000_000_000_000 }
}

fn ask(k: &str) -> testing::Asked {
    testing::Asked::default().with("k", k)
}

struct Gate {
    registry: Registry,
    layers: [Box<[Arc<Running>]>; 3],
}

impl Gate {
    fn new(route: &[Policy], service: &[Policy], global: &[Policy]) -> Gate {
        let registry = Registry::new(1);
        let layers = [
            registry.limits(&Scope::Route("r".into()), route),
            registry.limits(&Scope::Service("s".into()), service),
            registry.limits(&Scope::Global, global),
        ];
        Gate { registry, layers }
    }

    fn applying(&self) -> Applying<'_> {
        let [route, service, global] = &self.layers;
        Applying::new([route, service, global])
    }

    /// Whether a request passes, and the fields of its reply.
    fn pass(&self, k: &str, now: Now) -> (bool, String) {
        let (mut work, mut fields) = (Work::default(), Fields::default());
        let applying = self.applying();
        let result = work.admit(applying, &ask(k), now, 0, &mut Vec::new());
        match &result {
            Ok(_) => work.tell(applying, &mut fields),
            Err(refusal) => work.tell_refused(applying, refusal, now, &mut fields),
        }
        let shown = fields.iter().map(|field| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            format!("{}: {}\n", text(field.name), text(field.value))
        });
        (result.is_ok(), shown.collect())
    }

    fn refused(&self, kind: &str) -> u64 {
        let counted = self.registry.counted();
        let of_kind = counted.iter().filter(|counted| counted.id.kind == kind);
        of_kind.flat_map(|counted| counted.metrics.shards()).map(|s| s.refused.value()).sum()
    }
}

#[test]
fn a_refusal_by_one_costs_nothing_with_the_others() {
    let gate = Gate::new(
        &[rate_limit("fast", 2, SECOND)],
        &[quota("day", 10)],
        &[rate_limit("slow", 1, 60 * SECOND)],
    );
    let (passed, fields) = gate.pass("a", at(1));
    assert!(passed);
    assert_eq!(
        fields,
        "RateLimit-Policy: \"fast\";q=2;w=1, \"day\";q=10, \"slow\";q=1;w=60\n\
         RateLimit: \"fast\";r=1;t=1, \"day\";r=9;t=57600, \"slow\";r=0;t=60\n"
    );
    for _ in 0..20 {
        let (passed, fields) = gate.pass("a", at(2));
        assert!(!passed);
        assert_eq!(
            fields,
            "RateLimit-Policy: \"fast\";q=2;w=1, \"day\";q=10, \"slow\";q=1;w=60\n\
             RateLimit: \"fast\";r=2, \"day\";r=9;t=57600, \"slow\";r=0;t=59\nRetry-After: 59\n"
        );
    }
    assert_eq!(gate.refused("rate_limit"), 20);
    assert_eq!(gate.refused("quota"), 0);
    assert!(gate.pass("b", at(2)).0);
}

#[test]
fn the_narrower_one_of_a_name_replaces_the_wider() {
    let gate = Gate::new(
        &[rate_limit("x", 1, SECOND)],
        &[rate_limit("x", 5, SECOND), rate_limit("y", 5, SECOND)],
        &[rate_limit("x", 7, SECOND), quota("x", 7)],
    );
    let names: Vec<_> = gate.applying().iter().map(|r| r.counted().id.to_string()).collect();
    assert_eq!(names, ["route/r/rate_limit/x", "service/s/rate_limit/y", "global/quota/x"]);
}

#[test]
fn a_seat_is_held_and_left() {
    let gate = Gate::new(&[concurrency("c", 1), rate_limit("r", 5, SECOND)], &[], &[]);
    let (applying, mut work, mut seats) = (gate.applying(), Work::default(), Vec::new());
    assert!(work.admit(applying, &ask("a"), at(1), 0, &mut seats).unwrap().is_none());
    assert_eq!(seats.len(), 1);
    let mut others = Vec::new();
    // It may wait, and gives back what it took when it gives up.
    assert!(work.admit(applying, &ask("a"), at(1), 0, &mut others).unwrap().is_some());
    work.give_back(applying, at(1), &mut others);
    seats.clear();
    let (passed, fields) = gate.pass("a", at(1));
    assert!(passed && fields.contains("\"c\";r=0, \"r\";r=3"), "{fields}");
}

#[tokio::test(start_paused = true)]
async fn delayed_requests_pass_at_the_rate() {
    let Policy::RateLimit(limit) = rate_limit("d", 10, SECOND) else { unreachable!() };
    let delay = OnLimit::Delay { max_delay: SECOND / 4, waiters: 2 };
    let algorithm = Algorithm::TokenBucket { burst: 1 };
    let delayed = RateLimit { on_limit: delay, algorithm, ..(*limit).clone() };
    let gate = Gate::new(&[Policy::RateLimit(delayed.into())], &[], &[]);
    let applying = gate.applying();
    let mut works: Vec<Work> = (0..4).map(|_| Work::default()).collect();
    let mut later = Vec::new();
    for work in &mut works {
        later.push(work.admit(applying, &ask("a"), at(1), 0, &mut Vec::new()));
    }
    assert!(matches!(later[0], Ok(None)));
    let waits: Vec<Duration> =
        later[1..3].iter().map(|l| l.as_ref().unwrap().as_ref().unwrap().delay).collect();
    assert_eq!(waits, [SECOND / 10, SECOND / 5]);
    assert!(later[3].is_err());
    let began = tokio::time::Instant::now();
    for (work, later) in works.iter_mut().zip(later).skip(1).take(2) {
        let waited = work.wait(later.unwrap().unwrap(), applying, 0, &mut Vec::new()).await;
        assert!(waited.is_ok());
    }
    assert!(began.elapsed() >= SECOND / 5);
    let counted = &gate.registry.counted()[0];
    let series = counted.metrics.shard(0);
    let counts = (series.allowed.value(), series.delayed.value(), series.refused.value());
    assert_eq!((counts, counted.waiting()), ((3, 2, 1), 0));
}

#[test]
fn changed_limits_go_on_with_what_was_counted() {
    let registry = Registry::new(1);
    let scope = Scope::Global;
    let run = |policies: &[Policy]| registry.limits(&scope, policies);
    let pass = |running: &[Arc<Running>]| {
        let applying = Applying::new([running, &[], &[]]);
        let now = Now { steady: crate::nanos(std::time::Instant::now()), ..at(1) };
        Work::default().admit(applying, &ask("a"), now, 0, &mut Vec::new()).is_ok()
    };
    let window = |limit| {
        let Policy::RateLimit(policy) = rate_limit("w", limit, 600 * SECOND) else {
            unreachable!()
        };
        let algorithm = Algorithm::SlidingWindow;
        Policy::RateLimit(RateLimit { algorithm, ..(*policy).clone() }.into())
    };
    for (old, new) in [
        (rate_limit("r", 2, 600 * SECOND), rate_limit("r", 5, 600 * SECOND)),
        (window(2), window(5)),
        (quota("q", 2), quota("q", 5)),
    ] {
        let before = run(&[old]);
        assert!(pass(&before) && pass(&before) && !pass(&before));
        let after = run(&[new]);
        assert_eq!((0..9).filter(|_| pass(&after)).count(), 3);
        drop((before, after));
    }
    // A configuration that is not put to use after all leaves the counts of the one before.
    let before = run(&[rate_limit("x", 2, 600 * SECOND)]);
    assert!(pass(&before));
    drop(run(&[rate_limit("x", 3, 600 * SECOND)]));
    let after = run(&[rate_limit("x", 2, 600 * SECOND)]);
    assert!(pass(&after) && !pass(&after));
    drop((before, after));
    // What nobody has any more is forgotten.
    assert!(registry.counted().is_empty());
}
