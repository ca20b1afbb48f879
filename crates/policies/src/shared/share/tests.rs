//! Three nodes and a store whose messages are late, lost, or both, with every order of events that
//! chance comes up with: no stretch of time has more than the limit allows and what may be lent.

use std::collections::HashMap;

use portcullis_config::model::Sharing;
use proptest::prelude::*;

use super::*;
use crate::{Allowance, Bucket, Limit};

const MS: u64 = 1_000_000;
const NODES: usize = 3;

/// What the scripts do, as `script/*.lua` do it.
struct Server {
    limit: Limit,
    state: u128,
    /// What nodes hold, and until when.
    held: HashMap<usize, (u64, u64)>,
}

impl Server {
    fn used(&mut self, now: u64, amount: u64) {
        self.state = match self.limit {
            Limit::Bucket(bucket) => {
                let from = (self.state as u64).max(now * MS);
                (from + bucket.interval * amount).into()
            }
            _ => self.state + u128::from(amount),
        };
    }

    fn left(&self, now: u64) -> u64 {
        match self.limit {
            Limit::Bucket(bucket) => {
                let debt = (self.state as u64).saturating_sub(now * MS);
                (bucket.interval * u64::from(bucket.burst)).saturating_sub(debt) / bucket.interval
            }
            Limit::Allowance(allowance) => allowance.limit.saturating_sub(self.state as u64),
            Limit::Window(_) => unreachable!("not tried here"),
        }
    }

    fn expire(&mut self, now: u64) {
        let lost: u64 = self.held.values().filter(|(_, till)| *till <= now).map(|(n, _)| n).sum();
        self.held.retain(|_, (_, till)| *till > now);
        if lost > 0 {
            self.used(now, lost);
        }
    }

    fn all_held(&self) -> u64 {
        self.held.values().map(|(amount, _)| amount).sum()
    }

    fn take(&mut self, now: u64) -> bool {
        self.expire(now);
        let passes = self.left(now) > self.all_held();
        if passes {
            self.used(now, 1);
        }
        passes
    }

    fn lease(&mut self, node: usize, now: u64, order: Order) -> Grant {
        self.expire(now);
        let held = self.held.remove(&node).map(|(amount, _)| amount);
        let have = order.have.min(held.unwrap_or(0));
        let used = held.unwrap_or(0).saturating_sub(have + order.back) + order.debt;
        if used > 0 {
            self.used(now, used);
        }
        let left = self.left(now).saturating_sub(self.all_held() + have);
        let part = (left / (2 * (self.held.len() as u64 + 1))).max(order.least);
        let mut granted = order.want.min(part).min(left);
        if granted < order.least {
            granted = 0;
        }
        if have + granted > 0 {
            self.held.insert(node, (have + granted, now + LASTS_MS));
        }
        let wait = if granted == 0 { self.wait(node, now) } else { 0 };
        let holders = self.held.len() as u64;
        Grant { granted, wait, valid: LASTS_MS, left: left - granted, holders }
    }

    fn wait(&self, node: usize, now: u64) -> u64 {
        // What others hold may come back before anything comes in.
        let others = self.held.keys().any(|holder| *holder != node);
        let longest = if others { 1000 } else { u64::MAX };
        let wait = match self.limit {
            Limit::Bucket(bucket) if self.left(now) <= self.all_held() => {
                (bucket.interval / MS).max(1)
            }
            Limit::Allowance(allowance) if self.left(now) <= self.all_held() => allowance.left / MS,
            _ => 0,
        };
        wait.min(longest)
    }
}

/// A message to the store that is under way.
struct Under {
    order: Order,
    sent: u64,
    arrives: u64,
    /// The answer never comes.
    lost: bool,
}

struct Node {
    share: Share,
    book: Book,
    known: bool,
    asked: bool,
    due: u64,
    heard: u64,
    under: Option<Under>,
    /// Messages whose sender has given up, but which arrive all the same.
    late: Vec<Under>,
}

/// What may happen in a millisecond.
#[derive(Debug, Clone, Copy)]
enum Event {
    Requests {
        node: usize,
        count: u8,
    },
    /// The next message of a node takes so long, and the answer may be lost.
    Message {
        node: usize,
        takes: u16,
        lost: bool,
    },
    Time(u16),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..NODES, 1u8..40).prop_map(|(node, count)| Event::Requests { node, count }),
        2 => (0..NODES, 0u16..40, prop::bool::weighted(0.1))
            .prop_map(|(node, takes, lost)| Event::Message { node, takes, lost }),
        3 => (1u16..30).prop_map(Event::Time),
        1 => (1000u16..12_000).prop_map(Event::Time),
    ]
}

/// Runs a story and gives the moments at which requests passed.
fn run(limit: Limit, credit: u64, events: &[Event]) -> Vec<u64> {
    let mut server = Server { limit, state: 0, held: HashMap::new() };
    let node = || Node {
        share: Share::default(),
        book: Book::new(1),
        known: false,
        asked: false,
        due: u64::MAX,
        heard: 0,
        under: None,
        late: Vec::new(),
    };
    let mut nodes: Vec<Node> = (0..NODES).map(|_| node()).collect();
    let mut slow = [(0u64, false); NODES];
    let mut now = 1000;
    let mut passed = Vec::new();
    for event in events {
        match *event {
            Event::Requests { node, count } => {
                for _ in 0..count {
                    if request(&mut nodes[node], &mut server, now, credit) {
                        passed.push(now);
                    }
                }
                background(node, &mut nodes[node], &mut server, now, &mut slow[node]);
            }
            Event::Message { node, takes, lost } => slow[node] = (takes.into(), lost),
            Event::Time(ms) => {
                for _ in 0..ms {
                    now += 1;
                    for (number, node) in nodes.iter_mut().enumerate() {
                        background(number, node, &mut server, now, &mut slow[number]);
                    }
                }
            }
        }
    }
    passed
}

fn request(node: &mut Node, server: &mut Server, now: u64, credit: u64) -> bool {
    let lent = if node.share == Share::default() { credit } else { 0 };
    let (new, taken) = node.share.take(now, 1, credit);
    node.share = Share::of(new.unwrap_or(node.share).state());
    let ask = |node: &mut Node, lent| {
        if !node.known {
            (node.known, node.book, node.heard) = (true, Book::new(now), now);
        }
        node.book.lend(lent);
        node.asked = true;
        if node.under.is_none() {
            node.due = now;
        }
    };
    match taken {
        Taken::Passed { ask: more } => {
            if more {
                ask(node, lent);
            }
            true
        }
        Taken::Refused { .. } => false,
        Taken::Unknown { ask: more } => {
            if more {
                ask(node, 0);
            }
            server.take(now)
        }
    }
}

fn background(
    number: usize,
    node: &mut Node,
    server: &mut Server,
    now: u64,
    slow: &mut (u64, bool),
) {
    for late in std::mem::take(&mut node.late) {
        if late.arrives <= now {
            server.lease(number, now, late.order);
        } else {
            node.late.push(late);
        }
    }
    if let Some(under) = node.under.take() {
        if now < under.arrives && now < under.sent + 1000 {
            node.under = Some(under);
        } else if now >= under.sent + 1000 || under.lost {
            // Nobody waits any longer; the message may arrive yet.
            node.share = node.share.unasked();
            node.due = now + 200;
            node.known = now < node.heard + LASTS_MS;
            node.late.push(under);
        } else {
            let grant = server.lease(number, now, under.order);
            node.heard = now;
            (node.share, node.due) = node.book.settle(node.share, &under.order, grant, under.sent);
            if node.asked {
                node.due = now;
            }
        }
    }
    if node.known && node.under.is_none() && node.due <= now {
        let asked = std::mem::take(&mut node.asked);
        let (share, step) = node.book.look(node.share, now, 1, asked);
        node.share = Share::of(share.state());
        match step {
            Step::Forget => node.known = false,
            Step::Wait => node.due = look_again(now, LASTS_MS),
            Step::Tell(order) => {
                let (takes, lost) = std::mem::take(slow);
                node.under = Some(Under { order, sent: now, arrives: now + takes, lost });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_period_never_has_more_than_its_limit_and_what_is_lent(
        limit in 1u64..2000,
        events in prop::collection::vec(event(), 1..120),
    ) {
        let credit = limit / 100 / NODES as u64;
        let period = Limit::Allowance(Allowance { limit, end: 1, left: 86_400_000 * MS });
        let passed = run(period, credit, &events).len() as u64;
        prop_assert!(passed <= limit + limit / 100, "{passed} of {limit}");
    }

    #[test]
    fn no_stretch_of_time_has_more_than_burst_and_rate_and_what_is_lent(
        burst in 1u32..1000,
        rate in 1u32..2000,
        events in prop::collection::vec(event(), 1..120),
    ) {
        let credit = u64::from(burst) / 100 / NODES as u64;
        let bucket = Bucket::new(rate, 1000 * MS, burst, 0);
        let passed = run(Limit::Bucket(bucket), credit, &events);
        let most = u64::from(burst + burst / 100) + 1;
        for (first, from) in passed.iter().enumerate().step_by(7) {
            for (last, to) in passed.iter().enumerate().skip(first).step_by(5) {
                let came = (to - from) * u64::from(rate) / 1000;
                let count = (last - first + 1) as u64;
                prop_assert!(count <= most + came, "{count} in {} ms", to - from);
            }
        }
    }

    #[test]
    fn a_share_is_a_word(tokens in 0u64..=MOST, until in 0u64..1 << UNTIL, low in 0u32..25,
        flags in 0u8..8) {
        let share = Share {
            tokens, until, low, asked: flags & 1 > 0, used_up: flags & 2 > 0, refused: flags & 4 > 0,
        };
        prop_assert_eq!(Share::of(share.state()), share);
        prop_assert!(share.state() >> crate::limit::STATE_BITS == 0);
    }
}

/// The dearest request that a configuration allows, and any other.
#[test]
fn no_cost_is_too_high_for_a_share() {
    for cost in [1, MOST / 2, MOST / 2 + 1, Sharing::MOST_LEASED.into(), u32::MAX.into()] {
        let (share, step) = Book::new(1).look(Share::default(), 1000, cost, true);
        let Step::Tell(order) = step else { panic!("{step:?}") };
        assert_eq!((order.want, order.least, share.tokens), (cost, cost, 0));
    }
    assert!(u64::from(Sharing::MOST_LEASED) <= MOST / 2);
}

/// Nearly all of a limit can be used, even by one node of three, and hardly any request waits.
#[test]
fn little_is_left_over_and_few_requests_wait() {
    let period = Limit::Allowance(Allowance { limit: 1000, end: 1, left: 86_400_000 * MS });
    let mut events = Vec::new();
    for _ in 0..400 {
        events.push(Event::Requests { node: 0, count: 3 });
        events.push(Event::Message { node: 0, takes: 1, lost: false });
        events.push(Event::Time(1));
    }
    let passed = run(period, 3, &events).len();
    assert!((1000..=1010).contains(&passed), "{passed}");
}

/// What one node took ahead and does not use is not lost for another.
#[test]
fn what_others_hold_and_do_not_use_can_be_used() {
    let period = Limit::Allowance(Allowance { limit: 200, end: 1, left: 86_400_000 * MS });
    let mut events = Vec::new();
    for round in 0..300 {
        let node = usize::from(round > 20);
        events.extend([Event::Requests { node, count: 3 }, Event::Time(20)]);
    }
    assert_eq!(run(period, 0, &events).len(), 200);
}

/// Nothing is lent of a key that is used up, however often it comes.
#[test]
fn a_key_that_is_used_up_is_lent_nothing() {
    const BURST: u32 = 900;
    const DAY_S: u64 = 86_400;
    let bucket = Limit::Bucket(Bucket::new(BURST, DAY_S * 1000 * MS, BURST, 0));
    let mut events = [Event::Requests { node: 0, count: 90 }, Event::Time(100)].repeat(12);
    for _ in 0..30 {
        events.extend([Event::Time(60_000), Event::Time(60_000)]);
        events.push(Event::Requests { node: 0, count: 3 });
    }
    let passed = run(bucket, 3, &events).len() as u64;
    let came = 30 * 120 * u64::from(BURST) / DAY_S + 1;
    assert!(passed <= u64::from(BURST) * 101 / 100 + came, "{passed}");
}
