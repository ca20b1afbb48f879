//! Two limits that count the same requests for the same keys, of which one can never refuse.

use super::super::Scope;
use crate::model::{Algorithm, Cost, CountBy, Name, Period, Policy};
use crate::node::Span;

/// What a policy lets through: so many at once, and so many in so much time.
struct Flow<'a> {
    by: &'a CountBy,
    /// Where it counts: what one gateway counts and what all of them do is not the same.
    store: Option<&'a Name>,
    cost: &'a Cost,
    at_once: u64,
    limit: u64,
    /// In milliseconds; of a month the shortest.
    per: u64,
}

/// A limit is useless beside one that lets fewer through, at once and in the long run: an error, for
/// it was surely meant otherwise.
pub(super) fn check(policies: &[(Policy, Span)], policy: &Policy, at: Span, scope: &mut Scope<'_>) {
    let Some(new) = flow(policy) else { return };
    for (other, first) in policies {
        let Some(old) = flow(other) else { continue };
        if (old.by, old.store, old.cost) != (new.by, new.store, new.cost) {
            continue;
        }
        let (idle, tighter, span, also) = if is_within(&new, &old) {
            (other, policy, *first, at)
        } else if is_within(&old, &new) {
            (policy, other, at, *first)
        } else {
            continue;
        };
        let message = format!("the {} `{}` can never be reached", idle.kind(), idle.name());
        let fault = scope.fault(span, message);
        let name = tighter.name();
        fault.also = Some((also, format!("`{name}` counts the same and lets fewer through")));
        fault.help =
            Some("a limit over a longer time must let more through than a short one".into());
    }
}

/// Whether whatever `small` lets through, `large` does too.
fn is_within(small: &Flow<'_>, large: &Flow<'_>) -> bool {
    let rate = |flow: &Flow<'_>, other: &Flow<'_>| u128::from(flow.limit) * u128::from(other.per);
    small.at_once <= large.at_once && rate(small, large) <= rate(large, small)
}

fn flow(policy: &Policy) -> Option<Flow<'_>> {
    const HOUR: u64 = 3_600_000;
    let store = policy.sharing().map(|sharing| &sharing.store);
    match policy {
        Policy::RateLimit(policy) => Some(Flow {
            by: &policy.by,
            store,
            cost: &policy.cost,
            at_once: match policy.algorithm {
                Algorithm::TokenBucket { burst } => burst.into(),
                Algorithm::SlidingWindow => policy.limit.into(),
            },
            limit: policy.limit.into(),
            per: u64::try_from(policy.per.as_millis()).unwrap_or(u64::MAX),
        }),
        Policy::Quota(policy) => Some(Flow {
            by: &policy.by,
            store,
            cost: &policy.cost,
            at_once: policy.limit,
            limit: policy.limit,
            per: match policy.per {
                Period::Hour => HOUR,
                Period::Day => 24 * HOUR,
                Period::Month => 28 * 24 * HOUR,
            },
        }),
        Policy::Concurrency(_) => None,
    }
}
