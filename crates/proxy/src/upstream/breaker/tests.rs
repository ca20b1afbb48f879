use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn trip() -> Trip {
    Trip {
        errors: Some(TripShare { share: 0.5, at_least: 4 }),
        slow: Some((2 * SECOND, TripShare { share: 1.0, at_least: 3 })),
        window: 10 * SECOND,
        open: 5 * SECOND,
        max_open: 15 * SECOND,
        probes: 2,
    }
}

struct Story(BreakerState);

impl Story {
    fn begin() -> Story {
        Story(BreakerState::new(2))
    }

    fn ask(&self, now_ms: u64) -> Result<Pass<'_>, Refused> {
        self.0.ask(&trip(), "s", || now_ms)
    }

    /// A try that ended now, having taken so long.
    fn ended(&self, now_ms: u64, took_ms: u64, error: bool) {
        let worker = (now_ms % 2) as usize;
        self.0.note(&trip(), "s", worker, (now_ms - took_ms, now_ms), error);
    }

    fn opened(now_ms: u64) -> Story {
        let story = Story::begin();
        (0..4).for_each(|i| story.ended(now_ms - 4 + i, 1, true));
        assert_eq!(story.0.phase(now_ms), Phase::Open);
        story
    }
}

#[test]
fn words_hold_everything() {
    for phase in [Phase::Closed, Phase::HalfOpen, Phase::Open] {
        let standing = Standing { phase, out: 255, well: 7, trips: 200, until_ms: 1 << 37 };
        assert_eq!(Standing::unpack(standing.pack()), standing);
    }
}

#[test]
fn it_opens_at_the_share_of_enough_tries_over_all_workers() {
    let story = Story::begin();
    (0..3).for_each(|i| story.ended(1000 + i, 1, true));
    assert_eq!(story.0.phase(1003), Phase::Closed);
    (3..8).for_each(|i| story.ended(1000 + i, 1, false));
    // 3 of 8, then 4 of 9, then 5 of 10.
    story.ended(1010, 1, true);
    assert!(story.ask(1010).is_ok());
    story.ended(1011, 1, true);
    assert_eq!(story.ask(1011).unwrap_err(), Refused(5000));
    assert_eq!(story.0.trips(), 1);
}

#[test]
fn errors_of_long_ago_do_not_count() {
    let story = Story::begin();
    (0..3).for_each(|i| story.ended(1000 + i, 1, true));
    story.ended(20_000, 1, true);
    assert_eq!(story.0.phase(20_000), Phase::Closed);
}

#[test]
fn it_opens_for_slow_replies_too() {
    let story = Story::begin();
    (0..2).for_each(|i| story.ended(5000 + i, 2001, false));
    assert_eq!(story.0.phase(5002), Phase::Closed);
    story.ended(5003, 2001, false);
    assert_eq!(story.0.phase(5003), Phase::Open);
}

#[test]
fn a_few_probes_close_it_and_what_was_before_is_forgotten() {
    let story = Story::opened(1000);
    assert!(story.ask(5998).is_err());
    let (one, two) = (story.ask(6000).unwrap(), story.ask(6001).unwrap());
    assert_eq!(story.ask(6002).unwrap_err(), Refused(WHILE_PROBING));
    story.ended(6010, 5, false);
    drop(one);
    assert_eq!(story.0.phase(6010), Phase::HalfOpen);
    story.ended(6011, 5, false);
    drop(two);
    assert_eq!(story.0.phase(6011), Phase::Closed);
    // Three new errors are not enough, for the old ones are gone.
    (0..3).for_each(|i| story.ended(7500 + i, 1, true));
    assert_eq!(story.0.phase(7510), Phase::Closed);
}

#[test]
fn each_failed_probe_opens_it_for_twice_as_long() {
    let story = Story::opened(1000);
    for (now, wait) in [(6000, 10_000), (16_000, 15_000), (31_000, 15_000)] {
        let probe = story.ask(now).unwrap();
        story.ended(now, 0, true);
        drop(probe);
        assert_eq!(story.ask(now).unwrap_err(), Refused(wait));
    }
    assert_eq!(story.0.trips(), 4);
}

#[test]
fn probes_that_were_given_up_make_room_for_others() {
    let story = Story::opened(1000);
    drop((story.ask(6000).unwrap(), story.ask(6000).unwrap()));
    assert!(story.ask(6001).is_ok());
}

#[test]
fn tries_from_before_it_opened_are_no_probes() {
    let story = Story::opened(1000);
    let _probe = story.ask(6000).unwrap();
    story.ended(6001, 5500, true);
    assert_eq!(story.0.phase(6001), Phase::HalfOpen);
}
