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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Router;
    use super::super::hosts::{Host, HostMatch};
    use super::super::kit::{Asked, route, router};
    use super::*;

    /// Counts the steps of a walk in which nothing is ever found.
    struct Steps(usize);

    impl<'r, T> Visit<'r, T> for Steps {
        fn wants(&mut self, _: i32) -> bool {
            self.0 += 1;
            true
        }

        fn look(&mut self, _: &'r Slot<T>, _: &[Span]) {}
    }

    fn steps(router: &Router<Arc<str>>, path: &str) -> usize {
        let mut text = Vec::new();
        let trees: Vec<_> = router.hosts.trees(Host::of(b"h", &mut text)).collect();
        let mut steps = Steps(0);
        for (how, tree) in trees {
            assert_eq!(how, HostMatch::Any);
            walk(tree, path.as_bytes(), &mut Vec::new(), &mut steps);
        }
        steps.0
    }

    /// Every mix of `a` and a parameter at every depth, and paths that fit all of them but the last
    /// segment: the worst there is. Beyond the depth of the table nothing grows.
    #[test]
    fn hostile_paths_cost_no_more_than_the_table_has_nodes() {
        const DEPTH: usize = 8;
        let mixes = (0..1 << DEPTH).map(|mix: usize| {
            let segment = |at| if mix >> at & 1 == 0 { "/a" } else { "/{x}" };
            let path: String = (0..DEPTH).map(segment).collect();
            route(&format!("mix-{mix}"), &[&format!("{path}/end")])
        });
        let router = router(mixes);
        let nodes = (1 << (DEPTH + 1)) - 1;
        // Two more: the regexes and what takes everything are asked about once.
        for length in [1, 4, 7] {
            assert_eq!(steps(&router, &"/a".repeat(length)), (1 << (length + 1)) - 1 + 2);
        }
        for length in [8, 9, 30, 4000] {
            assert_eq!(steps(&router, &"/a".repeat(length)), nodes + 2, "{length} segments");
        }
        assert_eq!(Asked::new(&format!("GET h{}", "/a".repeat(4000))).of(&router), "404");
        assert_eq!(Asked::new("GET h/a/a/a/a/a/a/a/a/end").of(&router), "mix-0");
    }

    #[test]
    fn steps_do_not_grow_with_the_number_of_routes() {
        let by_literal = |many| {
            router((0..many).map(|n| route(&format!("r{n}"), &[&format!("/api/r{n}/{{x}}")])))
        };
        let by_regex = |many| {
            router(
                (0..many).map(|n| route(&format!("r{n}"), &[&format!("regex:/api/r{n}/[0-9]+")])),
            )
        };
        for path in ["/api/r5/x/y", "/api/none", "/"] {
            assert_eq!(steps(&by_literal(10), path), steps(&by_literal(5000), path));
            assert_eq!(steps(&by_regex(10), path), steps(&by_regex(500), path));
        }
    }
}
