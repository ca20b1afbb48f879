//! Policies as they run.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use portcullis_config::model::{Algorithm, Cost, CountBy, OnLimit, Policy, Quota, RateLimit};

use crate::calendar::Calendar;
use crate::fields::Words;
use crate::key::{Facts, KeyHasher, Missed, write_key};
use crate::limit::{Bucket, Limit, Verdict, Window};
use crate::registry::{Counted, Layout, PolicyId, Registry, Scope};
use crate::seats::{Seats, WaitingTurn};
use crate::shared::Shared;
use crate::table::Key;

/// A policy as it runs.
#[derive(Debug)]
pub struct Running {
    /// As configured.
    pub policy: Policy,
    /// Whom it counts for.
    by: CountBy,
    hasher: KeyHasher,
    counted: Arc<Counted>,
    /// How its keys begin in a store.
    in_store: Box<[u8]>,
    pub(crate) words: Words,
    pub(crate) rule: Rule,
}

/// What it does.
#[derive(Debug)]
pub(crate) enum Rule {
    Count(Counter),
    Seats(Seats),
}

/// Counts requests: a rate limit or a quota.
#[derive(Debug)]
pub(crate) struct Counter {
    /// Counts in a store that nodes share.
    pub(crate) shared: Option<Arc<Shared>>,
    amount: Amount,
    cost: Cost,
    /// Most requests that wait for their turn.
    waiters: u32,
}

#[derive(Debug)]
enum Amount {
    Fixed(Limit),
    Calendar(Calendar, u64),
}

/// The time, by both clocks. In nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Of a clock that only goes forward; see [`crate::nanos`].
    pub steady: u64,
    /// Since 1970. Asked for only where a calendar counts.
    pub wall: fn() -> u64,
}

impl Running {
    pub(crate) fn new(registry: &Registry, scope: &Scope, policy: &Policy) -> Running {
        let (by, layout, rule) = match policy {
            Policy::RateLimit(limit) => (&limit.by, layout(limit), Rule::Count(rate(limit))),
            Policy::Quota(limit) => {
                (&limit.by, Layout::Period(limit.per), Rule::Count(quota(limit)))
            }
            Policy::Concurrency(limit) => {
                (&limit.by, Layout::Seats, Rule::Seats(Seats::new(limit)))
            }
        };
        let id = PolicyId::of(scope, policy);
        let rule = match (rule, policy.sharing()) {
            (Rule::Count(counter), Some(sharing)) => {
                let shared = registry.shared(id.clone(), sharing, layout, by.keys);
                Rule::Count(Counter { shared, ..counter })
            }
            (rule, _) => rule,
        };
        Running {
            in_store: id.to_string().into_bytes().into(),
            policy: policy.clone(),
            by: by.clone(),
            hasher: registry.hasher(layout),
            counted: registry.counts(id, layout, by.keys),
            words: Words::new(policy),
            rule,
        }
    }

    /// What it has counted.
    #[must_use]
    pub fn counted(&self) -> &Arc<Counted> {
        &self.counted
    }

    /// Whom it counts for.
    #[must_use]
    pub fn by(&self) -> &CountBy {
        &self.by
    }

    /// Whether it replaces `other` of a wider scope.
    #[must_use]
    pub fn replaces(&self, other: &Running) -> bool {
        self.policy.kind() == other.policy.kind() && self.policy.name() == other.policy.name()
    }

    /// Appends the key of a request as every node knows it: what names the policy, and the parts.
    pub(crate) fn write_shared_key(&self, facts: &impl Facts, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.in_store);
        // That a part is missing was said before.
        let _ = write_key(&self.by, facts, out);
    }

    /// The key of a request.
    ///
    /// # Errors
    /// When a part is missing and there is no key for that.
    pub(crate) fn key(&self, facts: &impl Facts, text: &mut Vec<u8>) -> Result<Key, Missed> {
        self.hasher.key(&self.by, facts, text)
    }
}

fn layout(limit: &RateLimit) -> Layout {
    match limit.algorithm {
        Algorithm::TokenBucket { .. } => Layout::Bucket(per(limit).div_ceil(limit.limit.into())),
        Algorithm::SlidingWindow => Layout::Window(per(limit)),
    }
}

fn per(limit: &RateLimit) -> u64 {
    u64::try_from(limit.per.as_nanos()).unwrap_or(u64::MAX)
}

fn rate(limit: &RateLimit) -> Counter {
    let (max_wait, waiters) = match limit.on_limit {
        OnLimit::Refuse => (0, 0),
        OnLimit::Delay { max_delay, waiters } => {
            (u64::try_from(max_delay.as_nanos()).unwrap_or(u64::MAX), waiters)
        }
    };
    let amount = match limit.algorithm {
        Algorithm::TokenBucket { burst } => {
            Limit::Bucket(Bucket::new(limit.limit, per(limit), burst, max_wait))
        }
        Algorithm::SlidingWindow => Limit::Window(Window { limit: limit.limit, per: per(limit) }),
    };
    Counter { shared: None, amount: Amount::Fixed(amount), cost: limit.cost.clone(), waiters }
}

fn quota(limit: &Quota) -> Counter {
    let calendar = Calendar::new(limit.per, &limit.time_zone);
    let amount = Amount::Calendar(calendar, limit.limit);
    Counter { shared: None, amount, cost: limit.cost.clone(), waiters: 0 }
}

/// A request that was counted, and can be given back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Take {
    limit: Limit,
    after: u128,
}

impl Counter {
    /// Whether what the store counts is counted on this node as well, for the time when the store
    /// does not answer.
    pub(crate) fn counts_here_too(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.store().counts_locally())
    }

    /// How much is allowed now.
    pub(crate) fn limit(&self, now: Now) -> Limit {
        match &self.amount {
            Amount::Fixed(limit) => *limit,
            Amount::Calendar(calendar, limit) => {
                Limit::Allowance(calendar.allowance(*limit, (now.wall)()))
            }
        }
    }

    /// What a request costs. A cost that it does not say as a number is the one of all that say
    /// none; with several of them the highest counts.
    pub(crate) fn cost(&self, facts: &impl Facts) -> u32 {
        match &self.cost {
            Cost::Fixed(cost) => *cost,
            Cost::Header { name, otherwise, max } => {
                let mut cost = None;
                facts.header(name, &mut |value| {
                    let number = number(value, *max).unwrap_or(*otherwise);
                    cost = cost.max(Some(number));
                });
                cost.unwrap_or(*otherwise)
            }
        }
    }

    /// Counts a request in `counted`.
    pub(crate) fn take(
        &self,
        counted: &Counted,
        key: Key,
        cost: u32,
        now: Now,
    ) -> (Option<Take>, Verdict) {
        let limit = self.limit(now);
        let worth = |state| limit.worth(state, now.steady);
        let taken = counted.table.change(key, worth, |state| {
            let (new, verdict) = limit.take(state, now.steady, cost);
            (new, (new, verdict))
        });
        // What is worth everything there is cannot be; but nothing may pass uncounted.
        let Ok((new, verdict)) = taken else {
            return (None, Verdict { allowed: false, wait: 0, remaining: 0, reset: 0 });
        };
        (new.map(|after| Take { limit, after }), verdict)
    }

    /// What would be said to another request of this cost, without counting it.
    pub(crate) fn look(&self, counted: &Counted, key: Key, cost: u32, now: Now) -> Verdict {
        self.limit(now).take(counted.table.state(key), now.steady, cost).1
    }

    /// A place among those who wait, if there is one.
    pub(crate) fn wait<'s>(&self, counted: &'s Counted) -> Option<WaitingTurn<'s>> {
        counted.waiting.enter(self.waiters)
    }
}

impl Take {
    /// Takes the request back.
    pub(crate) fn give_back(&self, counted: &Counted, key: Key, cost: u32, now: u64) {
        counted.table.change_known(key, |state| self.limit.give_back(state, self.after, now, cost));
    }
}

/// A whole number from 1, or `max` if it is larger.
fn number(value: &[u8], max: u32) -> Option<u32> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = value.iter().fold(0u32, |number, digit| {
        number.saturating_mul(10).saturating_add(u32::from(digit - b'0'))
    });
    Some(digits.clamp(1, max))
}

impl Counted {
    /// Requests that wait for this policy now.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.waiting.count.load(Relaxed)
    }
}
