//! Many routes of one place, each found by one of its exact tests.
//!
//! Every route with an exact test of a header, query parameter or cookie is held by one: of
//! several, by the one that held fewest routes when it came. A lookup takes the request's values
//! for each name that routes are held by, and looks only at the routes under those.

use std::sync::Arc;

use super::Request;
use super::leaf::{Key, Leaf};
use super::map::Map;
use super::params::Seen;
use super::predicate::{self, Place};
use super::slot::{Leaves, highest};

/// See the module.
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

impl<T> Default for Index<T> {
    fn default() -> Self {
        Index { plain: Leaves::None, groups: Vec::new(), max_priority: i32::MIN }
    }
}

impl<T> Index<T> {
    /// Every route, in no order.
    pub(super) fn leaves(&self) -> impl Iterator<Item = &Arc<Leaf<T>>> {
        let held = self.groups.iter().flat_map(|group| group.by_value.values());
        self.plain.as_slice().iter().chain(held.flat_map(Leaves::as_slice))
    }

    pub(super) fn max_priority(&self) -> i32 {
        self.max_priority
    }

    /// See [`super::slot::Slot::each_list`].
    pub(super) fn each_list<'a>(
        &'a self,
        request: &Request<'_>,
        seen: &mut Seen,
        each: &mut impl FnMut(&'a [Arc<Leaf<T>>], Option<Key<'_>>),
    ) {
        each(self.plain.as_slice(), None);
        for group in &self.groups {
            group.each_list(request, seen, each);
        }
    }
}

impl<T: Clone> Index<T> {
    pub(super) fn insert(&mut self, leaf: &Arc<Leaf<T>>) {
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

    pub(super) fn remove(&mut self, leaf: &Leaf<()>) -> bool {
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

#[cfg(test)]
mod tests {
    use portcullis_config::model::Route;

    use super::super::kit::{Asked, With, route};
    use super::*;

    fn leaf<T>(route: Route, value: T, path: usize) -> Arc<Leaf<T>> {
        Arc::new(Leaf::new(Arc::new(route), value, path))
    }

    fn index(routes: &[Route]) -> Index<()> {
        let mut index = Index::default();
        routes.iter().for_each(|route| index.insert(&leaf(route.clone(), (), 0)));
        index
    }

    #[test]
    fn routes_are_held_by_what_tells_them_apart() {
        let of = |tenant: usize| {
            let route = route(&tenant.to_string(), &["/"]).asks(Place::Header, "env", "canary");
            route.asks(Place::Query, "tenant", &tenant.to_string())
        };
        let index = index(&(0..100).map(of).collect::<Vec<_>>());
        let longest = index.groups.iter().flat_map(|group| group.by_value.values());
        assert_eq!(longest.map(|list| list.as_slice().len()).max(), Some(1));
    }

    #[test]
    fn a_repeated_value_is_looked_up_once() {
        let index = index(&[route("a", &["/"]).asks(Place::Query, "q", "1")]);
        let asked = Asked::new("GET h/?q=1&q=1&q=%31&q=2");
        let mut lists = 0;
        index.each_list(&asked.request(), &mut Seen::default(), &mut |list, met| {
            lists += usize::from(met.is_some() && list.len() == 1);
        });
        assert_eq!(lists, 1);
    }

    #[test]
    fn the_highest_priority_follows_changes() {
        let plain = route("plain", &["/"]).priority(3);
        let held = route("held", &["/"]).asks(Place::Header, "x", "1").priority(7);
        let other = route("other", &["/"]).asks(Place::Cookie, "x", "1").priority(5);
        let mut index = index(&[plain.clone(), held.clone(), other.clone()]);
        assert_eq!(index.max_priority(), 7);
        for (route, left) in [(held, 5), (other, 3), (plain, i32::MIN)] {
            assert!(index.remove(&leaf(route, (), 0)));
            assert_eq!(index.max_priority(), left);
        }
        assert!(index.groups.is_empty(), "no group is left behind");
    }

    #[test]
    fn a_route_is_held_once() {
        let twice = route("twice", &["/{a}", "/{b}"]).asks(Place::Header, "x", "1");
        let twice = twice.asks(Place::Header, "y", "1");
        let mut index = index(&[route("other", &["/"]).asks(Place::Header, "x", "1")]);
        index.insert(&leaf(twice.clone(), (), 0));
        index.insert(&leaf(twice.clone(), (), 1));
        assert_eq!(index.leaves().count(), 2);
        assert!(index.remove(&leaf(twice.clone(), (), 0)));
        assert!(!index.remove(&leaf(twice, (), 1)));
    }
}
