//! The way through a tree: every place that a path leads to, the most specific first.
//!
//! Every node is a place of its own, so a walk comes to each at most once. A request costs at most
//! as many visits as the host's tree has nodes, and never more than 2^n for n segments: a hostile
//! path can make the walk visit what the configuration holds, and nothing grows beyond that.

use super::node::{Node, REGEX_DEPTH, RegexPath};
use super::params::Span;
use super::slot::Slot;

/// Somebody who looks at the places of a walk.
pub(super) trait Visit<'r, T> {
    /// Whether routes of at most this priority are still of interest. Asked once for each node.
    fn wants(&mut self, max_priority: i32) -> bool;

    /// Looks at the routes of a place that the path leads to.
    fn look(&mut self, slot: &'r Slot<T>, captures: &[Span]);
}

/// Leads `visit` to every place in the tree of `root` that takes `path`.
pub(super) fn walk<'r, T, V: Visit<'r, T>>(
    root: &'r Node<T>,
    path: &[u8],
    captures: &mut Vec<Span>,
    visit: &mut V,
) {
    captures.clear();
    if path.first() != Some(&b'/') {
        return;
    }
    let mut walk = Walk { path, captures, visit };
    walk.segments(root, Some(1));
    if walk.visit.wants(root.max_priority) {
        walk.regexes(root);
    }
    if walk.visit.wants(root.rest.max_priority()) {
        walk.rest(&root.rest, 1);
    }
}

struct Walk<'w, V> {
    path: &'w [u8],
    captures: &'w mut Vec<Span>,
    visit: &'w mut V,
}

impl<'w, V> Walk<'w, V> {
    /// Goes on at a node; `at` is where the next segment begins, `None` behind the last.
    fn segments<'r, T>(&mut self, mut node: &'r Node<T>, mut at: Option<usize>)
    where
        V: Visit<'r, T>,
    {
        while self.visit.wants(node.max_priority) {
            let Some(start) = at else {
                if !node.exact.is_vacant() {
                    self.visit.look(&node.exact, self.captures);
                }
                return self.rest(&node.rest, self.path.len());
            };
            let (segment, next) = cut(self.path, start);
            let literal = node.literals.find(segment);
            let param = node.param.as_ref().filter(|_| !segment.is_empty());
            // The root's own is for after the regexes.
            let has_rest = start > 1 && !node.rest.is_vacant();
            if let (Some(child), None, false) = (literal, param, has_rest) {
                // Nothing to come back for: most steps of most paths.
                (node, at) = (child, next);
                continue;
            }
            if let Some(child) = literal {
                self.segments(child, next);
            }
            if let Some(child) = param {
                self.captures.push(Span::new(start, start + segment.len()));
                self.segments(child, next);
                self.captures.pop();
            }
            if has_rest {
                self.rest(&node.rest, start);
            }
            return;
        }
    }

    fn rest<'r, T>(&mut self, slot: &'r Slot<T>, start: usize)
    where
        V: Visit<'r, T>,
    {
        if slot.is_vacant() {
            return;
        }
        self.captures.push(Span::new(start, self.path.len()));
        self.visit.look(slot, self.captures);
        self.captures.pop();
    }

    /// Tries the regexes below the path's literal segments; those of all nodes on the way are
    /// merged by their order.
    fn regexes<'r, T>(&mut self, root: &'r Node<T>)
    where
        V: Visit<'r, T>,
    {
        let mut lists: [&'r [RegexPath<T>]; REGEX_DEPTH + 1] = [&[]; REGEX_DEPTH + 1];
        let mut node = root;
        let mut at = Some(1);
        for list in &mut lists {
            if let Some(regexes) = &node.regexes {
                *list = regexes;
            }
            let Some(start) = at else { break };
            let (segment, next) = cut(self.path, start);
            let Some(child) = node.literals.find(segment) else {
                break;
            };
            (node, at) = (child, next);
        }
        while let Some(list) = first_list(&mut lists) {
            let Some((first, others)) = list.split_first() else {
                return;
            };
            *list = others;
            if self.visit.wants(first.slot.max_priority()) && first.is_match(self.path) {
                self.visit.look(&first.slot, &[]);
            }
        }
    }
}

/// The list whose head comes first.
fn first_list<'l, 'r, T>(
    lists: &'l mut [&'r [RegexPath<T>]],
) -> Option<&'l mut &'r [RegexPath<T>]> {
    lists.iter_mut().filter(|list| !list.is_empty()).min_by(|a, b| a[0].order(&b[0]))
}

/// The segment that begins at `start`, and where the next begins, if there is one.
fn cut(path: &[u8], start: usize) -> (&[u8], Option<usize>) {
    let rest = &path[start..];
    // Segments are short: a plain loop costs less than a call of memchr.
    match rest.iter().position(|&byte| byte == b'/') {
        Some(end) => (&rest[..end], Some(start + end + 1)),
        None => (rest, None),
    }
}
