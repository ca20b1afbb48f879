//! The tree of path segments of one host, and how it changes.
//!
//! Nodes are shared between routers: a change copies the nodes from the root to the place of the
//! change and nothing else.

use std::cmp::Ordering;
use std::sync::Arc;

use portcullis_config::model::{PathPattern, Segment};
use regex::bytes::Regex;
use regex_syntax::hir::{Look, literal::Extractor};

use super::leaf::Leaf;
use super::map::Map;
use super::slot::{Slot, highest};

/// A regex hangs at most so deep in the tree, below the literal segments that it begins with.
pub(super) const REGEX_DEPTH: usize = 7;

/// Where the segments from the root led so far.
#[derive(Clone)]
pub(super) struct Node<T> {
    pub(super) literals: Map<Arc<Node<T>>>,
    pub(super) param: Option<Arc<Node<T>>>,
    /// Routes whose path ends here.
    pub(super) exact: Slot<T>,
    /// Routes that take this path and all below it.
    pub(super) rest: Slot<T>,
    /// Regexes that begin with the literal segments that lead here; the longest source first.
    pub(super) regexes: Option<Arc<Vec<RegexPath<T>>>>,
    /// The highest priority here or below.
    pub(super) max_priority: i32,
}

/// The routes of one regex for the whole path.
#[derive(Clone)]
pub(super) struct RegexPath<T> {
    /// Any of the routes: it lends its regex, for a clone of a regex has its own caches.
    leaf: Arc<Leaf<T>>,
    pub(super) slot: Slot<T>,
}

impl<T> RegexPath<T> {
    pub(super) fn is_match(&self, path: &[u8]) -> bool {
        self.leaf.regex().is_some_and(|regex| regex.is_match(path))
    }

    /// Order of precedence: the longer source first, then by source.
    pub(super) fn order(&self, other: &RegexPath<T>) -> Ordering {
        source_order(self.source(), other.source())
    }

    fn source(&self) -> &str {
        self.leaf.regex().map_or("", Regex::as_str)
    }
}

fn source_order(a: &str, b: &str) -> Ordering {
    b.len().cmp(&a.len()).then_with(|| a.cmp(b))
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Node {
            literals: Map::default(),
            param: None,
            exact: Slot::default(),
            rest: Slot::default(),
            regexes: None,
            max_priority: i32::MIN,
        }
    }
}

impl<T: Clone> Node<T> {
    /// Puts the route at its path, which is below this root.
    pub(super) fn insert(&mut self, leaf: &Arc<Leaf<T>>) {
        with_place(leaf.pattern(), |steps, end| self.insert_at(steps, end, leaf));
    }

    /// Takes the route from its path. Says whether it was there.
    pub(super) fn remove(&mut self, leaf: &Leaf<()>) -> bool {
        with_place(leaf.pattern(), |steps, end| self.remove_at(steps, end, leaf))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.literals.is_empty()
            && self.param.is_none()
            && self.exact.is_empty()
            && self.rest.is_empty()
            && self.regexes.is_none()
    }

    fn insert_at(&mut self, steps: &[Segment], end: End<'_>, leaf: &Arc<Leaf<T>>) {
        self.max_priority = self.max_priority.max(leaf.priority);
        match (steps.split_first(), end) {
            (Some((Segment::Literal(text), below)), _) => {
                let child = self.literals.entry(text, Arc::default);
                Arc::make_mut(child).insert_at(below, end, leaf);
            }
            (Some((_, below)), _) => {
                let child = self.param.get_or_insert_default();
                Arc::make_mut(child).insert_at(below, end, leaf);
            }
            (None, End::Exact) => self.exact.insert(leaf),
            (None, End::Rest) => self.rest.insert(leaf),
            (None, End::Regex(regex)) => {
                let list = Arc::make_mut(self.regexes.get_or_insert_default());
                let at = position(list, regex).unwrap_or_else(|at| {
                    let leaf = Arc::clone(leaf);
                    list.insert(at, RegexPath { leaf, slot: Slot::default() });
                    at
                });
                list[at].slot.insert(leaf);
            }
        }
    }

    fn remove_at(&mut self, steps: &[Segment], end: End<'_>, leaf: &Leaf<()>) -> bool {
        let removed = match (steps.split_first(), end) {
            (Some((Segment::Literal(text), below)), _) => {
                let Some(child) = self.literals.find_mut(text.as_bytes()) else {
                    return false;
                };
                let removed = Arc::make_mut(child).remove_at(below, end, leaf);
                if child.is_empty() {
                    self.literals.remove(text.as_bytes());
                }
                removed
            }
            (Some((_, below)), _) => {
                let Some(child) = &mut self.param else {
                    return false;
                };
                let removed = Arc::make_mut(child).remove_at(below, end, leaf);
                if child.is_empty() {
                    self.param = None;
                }
                removed
            }
            (None, End::Exact) => self.exact.remove(leaf),
            (None, End::Rest) => self.rest.remove(leaf),
            (None, End::Regex(regex)) => self.remove_regex(regex, leaf),
        };
        if removed && leaf.priority == self.max_priority {
            self.lower_priority();
        }
        removed
    }

    fn remove_regex(&mut self, regex: &Regex, leaf: &Leaf<()>) -> bool {
        let Some(list) = &mut self.regexes else {
            return false;
        };
        let Ok(at) = position(list, regex) else {
            return false;
        };
        let list = Arc::make_mut(list);
        let removed = list[at].slot.remove(leaf);
        let another = list[at].slot.leaves().next().map(Arc::clone);
        match another {
            Some(other) => list[at].leaf = other,
            None => drop(list.remove(at)),
        }
        if list.is_empty() {
            self.regexes = None;
        }
        removed
    }

    /// Finds the highest priority anew. Where all are the same, the first child looked at ends it.
    fn lower_priority(&mut self) {
        let here = self.exact.max_priority().max(self.rest.max_priority());
        let param = self.param.iter().map(|node| node.max_priority);
        let regexes = self.regexes.iter().flat_map(|list| list.iter());
        let regexes = regexes.map(|path| path.slot.max_priority());
        let literals = self.literals.values().map(|node| node.max_priority);
        let others = param.chain(regexes).chain(literals);
        self.max_priority = highest(here, others, self.max_priority);
    }
}

/// How a pattern ends at its node.
#[derive(Clone, Copy)]
enum End<'a> {
    Exact,
    Rest,
    Regex(&'a Regex),
}

/// Calls `act` with the steps from the root to the node of the pattern and how it ends there.
fn with_place<R>(pattern: &PathPattern, act: impl FnOnce(&[Segment], End<'_>) -> R) -> R {
    match pattern {
        PathPattern::Segments(segments) => match &**segments {
            [steps @ .., Segment::Rest(_)] => act(steps, End::Rest),
            steps => act(steps, End::Exact),
        },
        PathPattern::Prefix(steps) => act(steps, End::Rest),
        PathPattern::Regex(regex) => act(&literal_start(regex), End::Regex(regex)),
    }
}

fn position<T>(list: &[RegexPath<T>], regex: &Regex) -> Result<usize, usize> {
    list.binary_search_by(|other| source_order(other.source(), regex.as_str()))
}

/// The whole literal segments that every path begins with which the regex matches: thousands of
/// regexes below different prefixes then cost a request only those of its own prefix.
fn literal_start(regex: &Regex) -> Vec<Segment> {
    let parser = regex_syntax::ParserBuilder::new().utf8(false).build().parse(regex.as_str());
    let Ok(hir) = parser else { return Vec::new() };
    if !hir.properties().look_set_prefix().contains(Look::Start) {
        return Vec::new();
    }
    let prefixes = Extractor::new().extract(&hir);
    let common = prefixes.longest_common_prefix().unwrap_or_default();
    let Some(text) = common.strip_prefix(b"/").and_then(|text| std::str::from_utf8(text).ok())
    else {
        return Vec::new();
    };
    // What follows the last slash may go on beyond the literal.
    let whole = text.rsplit_once('/').map_or("", |(whole, _)| whole);
    let segments = whole.split('/').filter(|_| text.contains('/')).take(REGEX_DEPTH);
    segments.map(|segment| Segment::Literal(Arc::from(segment))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::kit::{With, route};
    use super::*;

    #[test]
    fn the_highest_priority_follows_changes() {
        let paths = ["/a/b", "/a/{x}", "prefix:/a", "regex:/a/[0-9]/.*", "/c"];
        let leaf = |(at, path)| {
            let route = route(path, &[path]).priority(10 - at as i32);
            Arc::new(Leaf::new(Arc::new(route), (), 0))
        };
        let leaves: Vec<_> = paths.into_iter().enumerate().map(leaf).collect();
        let mut root = Node::default();
        leaves.iter().rev().for_each(|leaf| root.insert(leaf));
        for leaf in leaves {
            assert_eq!(root.max_priority, leaf.priority);
            assert!(root.remove(&leaf));
        }
        assert_eq!(root.max_priority, i32::MIN);
        assert!(root.is_empty());
    }

    #[test]
    fn regexes_hang_below_their_literal_segments() {
        let cases: [(&str, &[&str]); 12] = [
            ("^(?:^/v[0-9]+/.*$)$", &[]),
            ("^(?:/api/users/[0-9]+)$", &["api", "users"]),
            ("^/api/users$", &["api"]),
            ("^/api/(users|groups)/x$", &["api"]),
            ("^/api/(users|user)/x$", &["api"]),
            ("^(/a/b/c|/a/b/d/e)$", &["a", "b"]),
            ("^(/a/b|/c/d)$", &[]),
            ("^/a/?$", &[]),
            ("^/a//b$", &["a", ""]),
            ("(?i)^/api/users/x$", &[]),
            ("/api/x/[0-9]", &[]),
            ("^/1/2/3/4/5/6/7/8/9/[a-z]+$", &["1", "2", "3", "4", "5", "6", "7"]),
        ];
        for (source, expected) in cases {
            let steps = literal_start(&Regex::new(source).unwrap());
            let steps: Vec<_> = steps
                .iter()
                .map(|step| match step {
                    Segment::Literal(text) => &**text,
                    _ => panic!("not literal"),
                })
                .collect();
            assert_eq!(steps, expected, "{source}");
        }
    }
}
