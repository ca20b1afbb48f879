//! Conditions other than host and path: which imply which.

use std::hash::BuildHasher;

use crate::model::{Match, Predicate, ValueTest};

/// How many conditions count for precedence: each header, query parameter and cookie, and one for
/// clients.
pub(super) fn count(matches: &Match) -> usize {
    let clients = usize::from(!matches.clients.is_empty());
    matches.headers.len() + matches.query.len() + matches.cookies.len() + clients
}

/// Whether every request that meets the conditions of `inner` meets those of `outer`.
pub(super) fn conditions(outer: &Match, inner: &Match) -> bool {
    let methods = outer.methods.is_empty()
        || (!inner.methods.is_empty() && inner.methods.iter().all(|m| outer.methods.contains(m)));
    let clients = outer.clients.is_empty()
        || (!inner.clients.is_empty()
            && inner.clients.iter().all(|net| outer.clients.iter().any(|wide| wide.contains(net))));
    methods
        && clients
        && predicates(&outer.headers, &inner.headers)
        && predicates(&outer.query, &inner.query)
        && predicates(&outer.cookies, &inner.cookies)
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
    for (kind, list) in [(2, &matches.headers), (3, &matches.query), (4, &matches.cookies)] {
        list.iter().for_each(|one| add(hasher.hash_one((kind, &one.name, test_key(&one.test)))));
    }
    sum
}
