//! The routes of one place in the tree: same host, same path, told apart by method, header, query,
//! cookie, listener and client.
//!
//! A few are a list in order of precedence. Many are indexed by one exact test each ([`Index`]), so
//! that 50,000 routes that differ by one header's value cost one look-up. What has no exact test
//! stays a list: a request costs in proportion to the routes *without exact test* at its very
//! path, plus the number of different names tested there.

use std::sync::Arc;

use super::Request;
use super::index::Index;
use super::leaf::{Key, Leaf};
use super::params::Seen;

/// Beyond so many routes a slot is indexed.
const LISTED: usize = 8;

/// See the module.
#[derive(Clone)]
pub(super) enum Slot<T> {
    Listed(Leaves<T>),
    Indexed(Arc<Index<T>>),
}

/// Routes in order of precedence.
#[derive(Clone)]
pub(super) enum Leaves<T> {
    None,
    One(Arc<Leaf<T>>),
    Several(Arc<Vec<Arc<Leaf<T>>>>),
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot::Listed(Leaves::None)
    }
}

impl<T> Slot<T> {
    /// Whether it is plain that there is no route. Quicker than [`Slot::is_empty`], for lookups.
    pub(super) fn is_vacant(&self) -> bool {
        matches!(self, Slot::Listed(Leaves::None))
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Slot::Listed(leaves) => leaves.is_empty(),
            Slot::Indexed(index) => index.leaves().next().is_none(),
        }
    }

    /// The highest priority in it.
    pub(super) fn max_priority(&self) -> i32 {
        match self {
            Slot::Listed(leaves) => leaves.max_priority(),
            Slot::Indexed(index) => index.max_priority(),
        }
    }

    /// Every route, in no order.
    pub(super) fn leaves(&self) -> impl Iterator<Item = &Arc<Leaf<T>>> {
        let (listed, indexed) = match self {
            Slot::Listed(leaves) => (Some(leaves.as_slice()), None),
            Slot::Indexed(index) => (None, Some(index.leaves())),
        };
        listed.into_iter().flatten().chain(indexed.into_iter().flatten())
    }

    /// Calls `each` with lists, every one in order of precedence, that together hold every route
    /// whose exact tests the request may pass; with each goes the test that it is known to pass.
    pub(super) fn each_list<'a>(
        &'a self,
        request: &Request<'_>,
        seen: &mut Seen,
        mut each: impl FnMut(&'a [Arc<Leaf<T>>], Option<Key<'_>>),
    ) {
        match self {
            Slot::Listed(leaves) => each(leaves.as_slice(), None),
            Slot::Indexed(index) => index.each_list(request, seen, &mut each),
        }
    }
}

impl<T: Clone> Slot<T> {
    pub(super) fn insert(&mut self, leaf: &Arc<Leaf<T>>) {
        match self {
            Slot::Listed(leaves) => {
                leaves.insert(leaf);
                if leaves.as_slice().len() > LISTED {
                    let mut index = Index::default();
                    leaves.as_slice().iter().for_each(|leaf| index.insert(leaf));
                    *self = Slot::Indexed(Arc::new(index));
                }
            }
            Slot::Indexed(index) => Arc::make_mut(index).insert(leaf),
        }
    }

    pub(super) fn remove(&mut self, leaf: &Leaf<()>) -> bool {
        match self {
            Slot::Listed(leaves) => leaves.remove(leaf),
            Slot::Indexed(index) => Arc::make_mut(index).remove(leaf),
        }
    }
}

impl<T> Leaves<T> {
    pub(super) fn as_slice(&self) -> &[Arc<Leaf<T>>] {
        match self {
            Leaves::None => &[],
            Leaves::One(leaf) => std::slice::from_ref(leaf),
            Leaves::Several(list) => list,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    pub(super) fn max_priority(&self) -> i32 {
        self.as_slice().first().map_or(i32::MIN, |leaf| leaf.priority)
    }
}

impl<T: Clone> Leaves<T> {
    /// Puts the route in its place. A route that is there already stays: of two paths of a route
    /// that say the same, the first counts.
    pub(super) fn insert(&mut self, leaf: &Arc<Leaf<T>>) {
        let Err(at) = self.as_slice().binary_search_by(|other| other.order(leaf)) else {
            return;
        };
        match self {
            Leaves::None => *self = Leaves::One(Arc::clone(leaf)),
            Leaves::One(other) => {
                let mut list = vec![Arc::clone(other)];
                list.insert(at, Arc::clone(leaf));
                *self = Leaves::Several(Arc::new(list));
            }
            Leaves::Several(list) => Arc::make_mut(list).insert(at, Arc::clone(leaf)),
        }
    }

    pub(super) fn remove(&mut self, leaf: &Leaf<()>) -> bool {
        let Ok(at) = self.as_slice().binary_search_by(|other| other.order(leaf)) else {
            return false;
        };
        match self {
            Leaves::Several(list) if list.len() > 2 => {
                Arc::make_mut(list).remove(at);
            }
            Leaves::Several(list) => *self = Leaves::One(Arc::clone(&list[1 - at])),
            Leaves::One(_) | Leaves::None => *self = Leaves::None,
        }
        true
    }
}

/// The highest of `first` and `others`; no further than to `enough`, which none exceeds.
pub(super) fn highest(first: i32, others: impl Iterator<Item = i32>, enough: i32) -> i32 {
    let mut highest = first;
    for other in others {
        if highest >= enough {
            break;
        }
        highest = highest.max(other);
    }
    highest
}
