//! Routes that overlap: two that take the same requests at the same priority (nobody could say which
//! wins), and ones that never take a request because others take it all and come first.
//!
//! Only what is sure is reported: a route is called unreachable when, for each of its hosts and paths,
//! one other route covers host, path and conditions and comes first by the router's precedence. At
//! equal priority that can only be a route of the same host and path, since a broader host or path
//! always comes later. The index is kept up to date by what changes.

mod cover;
mod shape;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

use crate::model::Route;
use shape::{Key, Shape};

/// The most pairs of host and path of one route that are looked at.
const MOST_PAIRS: usize = 1024;

/// The most routes of one host and path that a route is compared with.
const MOST_COMPARED: usize = 64;

/// Above so many new routes, all are looked at again instead of those that may be concerned.
const BULK: usize = 256;

type Id = u32;

/// Routes that take the same requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// At least two.
    pub(crate) routes: Vec<Id>,
    /// What they take, for people.
    pub(crate) on: String,
}

/// A route that never takes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shadow {
    pub(crate) route: Id,
    /// The route that takes what it would (of its first path, if several do).
    pub(crate) by: Id,
}

/// All routes by what they match.
#[derive(Debug, Default)]
pub(crate) struct Overlap {
    routes: HashMap<Id, Arc<Route>>,
    /// Routes by host and path.
    places: BTreeMap<Key, Vec<Id>>,
    /// Routes by a hash of host, path, priority and conditions. It is keyed by chance, so nobody can
    /// make two different routes collide.
    same: HashMap<u64, Vec<Id>>,
    hasher: RandomState,
    /// How many routes have a priority.
    priorities: BTreeMap<i32, usize>,
    /// The keys of `same` with more than one route: those are in conflict.
    crowded: BTreeSet<u64>,
    /// Unreachable routes and those that make them so.
    shadows: BTreeMap<Id, Vec<Id>>,
    added: Vec<Id>,
    removed: HashSet<Id>,
}

impl Overlap {
    /// Adds a route; [`Overlap::settle`] makes it count.
    pub(crate) fn add(&mut self, id: Id, route: Arc<Route>) {
        *self.priorities.entry(route.priority).or_default() += 1;
        for shape in shapes(&route) {
            let fingerprint = self.fingerprint(shape.key(), &route);
            let same = self.same.entry(fingerprint).or_default();
            same.push(id);
            if same.len() > 1 {
                self.crowded.insert(fingerprint);
            }
            self.places.entry(shape.into_key()).or_default().push(id);
        }
        self.routes.insert(id, route);
        self.added.push(id);
    }

    /// Takes a route out, if it is in; [`Overlap::settle`] makes it count.
    pub(crate) fn remove(&mut self, id: Id) {
        let Some(route) = self.routes.remove(&id) else {
            return;
        };
        if let Some(count) = self.priorities.get_mut(&route.priority) {
            *count -= 1;
            if *count == 0 {
                self.priorities.remove(&route.priority);
            }
        }
        for shape in shapes(&route) {
            let fingerprint = self.fingerprint(shape.key(), &route);
            if let Some(same) = self.same.get_mut(&fingerprint) {
                same.retain(|other| *other != id);
                if same.len() < 2 {
                    self.crowded.remove(&fingerprint);
                }
                if same.is_empty() {
                    self.same.remove(&fingerprint);
                }
            }
            if let Some(ids) = self.places.get_mut(shape.key()) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.places.remove(shape.key());
                }
            }
        }
        self.removed.insert(id);
    }

    /// Finds what became of the routes that were added and removed.
    pub(crate) fn settle(&mut self) {
        let removed = std::mem::take(&mut self.removed);
        let added = std::mem::take(&mut self.added);
        let mut again: BTreeSet<Id> = added.iter().copied().collect();
        if !removed.is_empty() {
            self.shadows.retain(|route, by| {
                let concerned = by.iter().any(|id| removed.contains(id));
                if concerned && !removed.contains(route) {
                    again.insert(*route);
                }
                !concerned && !removed.contains(route)
            });
        }
        if added.len() > BULK {
            again.extend(self.routes.keys());
        } else {
            for id in &added {
                self.below(*id, &mut again);
            }
        }
        for id in again {
            match self.shadow(id) {
                Some(by) => self.shadows.insert(id, by),
                None => self.shadows.remove(&id),
            };
        }
    }

    pub(crate) fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        self.crowded.iter().filter_map(|fingerprint| {
            let routes = self.same.get(fingerprint)?.clone();
            let one = self.routes.get(routes.first()?)?;
            let shape =
                shapes(one).find(|shape| self.fingerprint(shape.key(), one) == *fingerprint)?;
            Some(Conflict { routes, on: shape.to_string() })
        })
    }

    pub(crate) fn shadows(&self) -> impl Iterator<Item = Shadow> {
        let shadow =
            |(route, by): (&Id, &Vec<Id>)| Some(Shadow { route: *route, by: *by.first()? });
        self.shadows.iter().filter_map(shadow)
    }

    /// A hash of all that makes two routes take the same requests at the same rank.
    fn fingerprint(&self, key: &[u8], route: &Route) -> u64 {
        let mut state = self.hasher.build_hasher();
        key.hash(&mut state);
        route.priority.hash(&mut state);
        cover::hash_conditions(&route.matches, &self.hasher).hash(&mut state);
        state.finish()
    }

    /// The routes that keep this one from ever being taken, if there are such.
    fn shadow(&self, id: Id) -> Option<Vec<Id>> {
        let route = self.routes.get(&id)?;
        let higher =
            self.priorities.last_key_value().is_some_and(|(most, _)| *most > route.priority);
        let mut by = Vec::new();
        let mut pairs = 0;
        for shape in shapes(route) {
            pairs += 1;
            let mut cover = None;
            let mut consider = |key: &Key, same_place: bool| {
                let ids = self.places.get(key).into_iter().flatten();
                cover = cover.or_else(|| {
                    // The first by name, so that a report does not depend on the order of changes.
                    ids.filter(|other| **other != id)
                        .take(MOST_COMPARED)
                        .filter_map(|other| Some((self.routes.get(other)?, *other)))
                        .filter(|(other, _)| comes_first(other, route, same_place))
                        .min_by(|a, b| a.0.name.cmp(&b.0.name))
                        .map(|(_, other)| other)
                });
                cover.is_some()
            };
            if !consider(shape.key(), true) && higher {
                shape.each_cover(&self.places, &mut |key| consider(key, false));
            }
            by.push(cover?);
        }
        (pairs > 0 && pairs < MOST_PAIRS).then_some(by)
    }

    /// Adds the routes that this one may keep from being taken.
    fn below(&self, id: Id, again: &mut BTreeSet<Id>) {
        let Some(route) = self.routes.get(&id) else {
            return;
        };
        let lower = self.priorities.range(..route.priority).next().is_some();
        for shape in shapes(route) {
            let ids = self.places.get(shape.key()).into_iter().flatten();
            again.extend(ids.take(MOST_COMPARED));
            if !lower {
                continue;
            }
            let prefix = shape.literal_prefix();
            let keys =
                self.places.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
            for other in keys.flat_map(|(_, ids)| ids) {
                let concerned = self.routes.get(other).is_some_and(|other| {
                    other.priority < route.priority
                        && cover::conditions(&route.matches, &other.matches)
                });
                if concerned {
                    again.insert(*other);
                }
            }
        }
    }
}

/// Whether the first covers the conditions of the second and comes before it. `same_place` says that
/// they have the same host and path; else the first's are broader.
fn comes_first(first: &Route, second: &Route, same_place: bool) -> bool {
    if !cover::conditions(&first.matches, &second.matches) {
        return false;
    }
    if first.priority != second.priority || !same_place {
        return first.priority > second.priority;
    }
    // The same at the same rank is a conflict, not a shadow.
    let rank = |route: &Route| {
        (route.matches.methods.is_empty(), std::cmp::Reverse(cover::count(&route.matches)))
    };
    !cover::same_conditions(&first.matches, &second.matches)
        && (rank(first), &first.name) < (rank(second), &second.name)
}

fn shapes(route: &Route) -> impl Iterator<Item = Shape> {
    let mut seen = HashSet::new();
    let any = [None];
    let hosts: Vec<_> = match route.matches.hosts.is_empty() {
        true => any.to_vec(),
        false => route.matches.hosts.iter().map(Some).collect(),
    };
    let mut shapes = Vec::new();
    for host in hosts {
        for path in &route.matches.paths {
            let shape = Shape::new(host, path);
            if shapes.len() < MOST_PAIRS && seen.insert(shape.key().clone()) {
                shapes.push(shape);
            }
        }
    }
    shapes.into_iter()
}

#[cfg(test)]
mod tests;
