//! The routes of one place in the tree: same host, same path, told apart by method, header, query,
//! cookie and client.
//!
//! A few are a list in order of precedence. Many are indexed by one exact test each, so that
//! 50,000 routes that differ by one header's value cost one look-up. What has no exact test stays
//! a list: a request costs in proportion to the routes *without exact test* at its very path, plus
//! the number of different names tested there.

use std::sync::Arc;

use super::Request;
use super::leaf::{Key, Leaf};
use super::map::Map;
use super::params::Seen;
use super::predicate::{self, Place};

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

#[derive(Clone)]
pub(super) struct Index<T> {
    /// Routes without an exact test.
    plain: Leaves<T>,
    /// One for each name that routes are held by.
    groups: Vec<Group<T>>,
    max_priority: i32,
}

#[derive(Clone)]
struct Group<T> {
    place: Place,
    name: Arc<str>,
    by_value: Map<Leaves<T>>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot::Listed(Leaves::None)
    }
}

impl<T> Slot<T> {
    /// Whether no route was ever here. Quicker than [`Slot::is_empty`], for lookups.
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
            Slot::Indexed(index) => index.max_priority,
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
            Slot::Indexed(index) => {
                each(index.plain.as_slice(), None);
                for group in &index.groups {
                    group.each_list(request, seen, &mut each);
                }
            }
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

    fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    fn max_priority(&self) -> i32 {
        self.as_slice().first().map_or(i32::MIN, |leaf| leaf.priority)
    }
}

impl<T: Clone> Leaves<T> {
    /// Puts the route in its place. A route that is there already stays: of two paths of a route
    /// that say the same, the first counts.
    fn insert(&mut self, leaf: &Arc<Leaf<T>>) {
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

    fn remove(&mut self, leaf: &Leaf<()>) -> bool {
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

impl<T> Default for Index<T> {
    fn default() -> Self {
        Index { plain: Leaves::None, groups: Vec::new(), max_priority: i32::MIN }
    }
}

impl<T> Index<T> {
    fn leaves(&self) -> impl Iterator<Item = &Arc<Leaf<T>>> {
        let held = self.groups.iter().flat_map(|group| group.by_value.values());
        self.plain.as_slice().iter().chain(held.flat_map(Leaves::as_slice))
    }
}

impl<T: Clone> Index<T> {
    fn insert(&mut self, leaf: &Arc<Leaf<T>>) {
        self.max_priority = self.max_priority.max(leaf.priority);
        if self.held_by(leaf).is_some() {
            return;
        }
        // Of several exact tests, the one that fewest routes are held by tells routes apart best.
        let Some(key) = leaf.keys().min_by_key(|key| self.list(*key).len()) else {
            return self.plain.insert(leaf);
        };
        let known = self.groups.iter().position(|group| group.is_of(key));
        let at = known.unwrap_or_else(|| {
            let name = Arc::clone(key.name);
            self.groups.push(Group { place: key.place, name, by_value: Map::default() });
            self.groups.len() - 1
        });
        self.groups[at].by_value.entry(key.value, || Leaves::None).insert(leaf);
    }

    fn remove(&mut self, leaf: &Leaf<()>) -> bool {
        let removed = match self.held_by(leaf) {
            Some((at, key)) => self.groups[at].remove(key, leaf),
            None => self.plain.remove(leaf),
        };
        self.groups.retain(|group| !group.by_value.is_empty());
        if removed && leaf.priority == self.max_priority {
            let others = self.groups.iter().flat_map(|group| group.by_value.values());
            let others = others.map(Leaves::max_priority);
            self.max_priority = highest(self.plain.max_priority(), others, self.max_priority);
        }
        removed
    }

    /// Which group and key hold the route, if one does.
    fn held_by<'l, U>(&self, leaf: &'l Leaf<U>) -> Option<(usize, Key<'l>)> {
        leaf.keys().find_map(|key| {
            let found = self.list(key).binary_search_by(|other| other.order(leaf));
            found.ok()?;
            Some((self.groups.iter().position(|group| group.is_of(key))?, key))
        })
    }

    fn list(&self, key: Key<'_>) -> &[Arc<Leaf<T>>] {
        let group = self.groups.iter().find(|group| group.is_of(key));
        let leaves = group.and_then(|group| group.by_value.find(key.value.as_bytes()));
        leaves.map_or(&[], Leaves::as_slice)
    }
}

impl<T> Group<T> {
    fn is_of(&self, key: Key<'_>) -> bool {
        self.place == key.place && self.name == *key.name
    }

    fn each_list<'a>(
        &'a self,
        request: &Request<'_>,
        seen: &mut Seen,
        each: &mut impl FnMut(&'a [Arc<Leaf<T>>], Option<Key<'_>>),
    ) {
        // A client may repeat a value a thousand times; each list is looked at once.
        let Seen { text, lists } = seen;
        lists.clear();
        predicate::each_value(self.place, &self.name, request, text, |value| {
            let Some((value, leaves)) = self.by_value.find_entry(value) else {
                return;
            };
            let list = leaves.as_slice();
            if !lists.contains(&list.as_ptr().addr()) {
                lists.push(list.as_ptr().addr());
                each(list, Some(Key { place: self.place, name: &self.name, value }));
            }
        });
    }
}

impl<T: Clone> Group<T> {
    fn remove(&mut self, key: Key<'_>, leaf: &Leaf<()>) -> bool {
        let value = key.value.as_bytes();
        let Some(leaves) = self.by_value.find_mut(value) else {
            return false;
        };
        let removed = leaves.remove(leaf);
        if leaves.is_empty() {
            self.by_value.remove(value);
        }
        removed
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
