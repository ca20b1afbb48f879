//! Conditions other than host and path: which imply which.

use std::hash::BuildHasher;

use crate::model::{Match, Predicate, ValueTest};

/// How many conditions count for precedence: each header, query parameter and cookie, one for
/// listeners and one for clients.
pub(super) fn count(matches: &Match) -> usize {
    let listeners = usize::from(!matches.listeners.is_empty());
    let clients = usize::from(!matches.clients.is_empty());
    matches.headers.len() + matches.query.len() + matches.cookies.len() + listeners + clients
}

/// Whether every request that meets the conditions of `inner` meets those of `outer`.
pub(super) fn conditions(outer: &Match, inner: &Match) -> bool {
    let methods = any_of(&outer.methods, &inner.methods);
    let listeners = any_of(&outer.listeners, &inner.listeners);
    let clients = outer.clients.is_empty()
        || (!inner.clients.is_empty()
            && inner.clients.iter().all(|net| outer.clients.iter().any(|wide| wide.contains(net))));
    methods
        && listeners
        && clients
        && predicates(&outer.headers, &inner.headers)
        && predicates(&outer.query, &inner.query)
        && predicates(&outer.cookies, &inner.cookies)
}

/// Whether who is in the inner list is in the outer; an empty list lets everything in.
fn any_of<T: PartialEq>(outer: &[T], inner: &[T]) -> bool {
    outer.is_empty() || (!inner.is_empty() && inner.iter().all(|item| outer.contains(item)))
}

fn predicates(outer: &[Predicate], inner: &[Predicate]) -> bool {
    outer.iter().all(|wanted| {
        inner.iter().any(|given| given.name == wanted.name && implies(&given.test, &wanted.test))
    })
}

fn implies(given: &ValueTest, wanted: &ValueTest) -> bool {
    match (given, wanted) {
        (ValueTest::Present(given), ValueTest::Present(wanted)) => given == wanted,
        (ValueTest::Exact(_) | ValueTest::Regex(_), ValueTest::Present(true)) => true,
        (ValueTest::Exact(given), ValueTest::Exact(wanted)) => given == wanted,
        (ValueTest::Exact(given), ValueTest::Regex(wanted)) => wanted.is_match(given.as_bytes()),
        (ValueTest::Regex(given), ValueTest::Regex(wanted)) => given.as_str() == wanted.as_str(),
        _ => false,
    }
}

/// Whether the conditions are the same, in whatever order they were written.
pub(super) fn same_conditions(a: &Match, b: &Match) -> bool {
    same_lists(&a.methods, &b.methods)
        && same_lists(&a.listeners, &b.listeners)
        && same_lists(&a.clients, &b.clients)
        && same_predicates(&a.headers, &b.headers)
        && same_predicates(&a.query, &b.query)
        && same_predicates(&a.cookies, &b.cookies)
}

fn same_lists<T: PartialEq>(a: &[T], b: &[T]) -> bool {
    a.iter().all(|item| b.contains(item)) && b.iter().all(|item| a.contains(item))
}

fn same_predicates(a: &[Predicate], b: &[Predicate]) -> bool {
    let has = |list: &[Predicate], one: &Predicate| {
        list.iter()
            .any(|other| other.name == one.name && test_key(&other.test) == test_key(&one.test))
    };
    a.len() == b.len() && a.iter().all(|one| has(b, one))
}

/// Equal for equal tests.
fn test_key(test: &ValueTest) -> (u8, &str) {
    match test {
        ValueTest::Present(present) => (u8::from(*present), ""),
        ValueTest::Exact(text) => (2, text),
        ValueTest::Regex(regex) => (3, regex.as_str()),
    }
}

/// A hash that is the same for [`same_conditions`]: a sum does not know the order. An item counts
/// once however often it is written.
pub(super) fn hash_conditions(matches: &Match, hasher: &impl BuildHasher) -> u64 {
    let mut seen = std::collections::HashSet::new();
    let mut sum = 0_u64;
    let mut add = |hash: u64| {
        if seen.insert(hash) {
            sum = sum.wrapping_add(hash);
        }
    };
    matches.methods.iter().for_each(|method| add(hasher.hash_one((0, method))));
    matches.clients.iter().for_each(|network| add(hasher.hash_one((1, network))));
    matches.listeners.iter().for_each(|name| add(hasher.hash_one((5, name))));
    for (kind, list) in [(2, &matches.headers), (3, &matches.query), (4, &matches.cookies)] {
        list.iter().for_each(|one| add(hasher.hash_one((kind, &one.name, test_key(&one.test)))));
    }
    sum
}
