//! The lookups themselves: the best route, and the methods that would have done.

use std::cmp::Ordering;
use std::sync::Arc;

use super::leaf::Leaf;
use super::params::{Seen, Span};
use super::slot::Slot;
use super::walk::Visit;
use super::{Method, Request};

/// Looks for the route that takes a request. Places come in order of precedence, so among routes
/// of one priority the first found is the best, and a later one must have a higher priority.
pub(super) struct Finder<'r, 'q, T> {
    pub(super) request: &'q Request<'q>,
    pub(super) method: Method<'q>,
    pub(super) best: Option<&'r Arc<Leaf<T>>>,
    /// What the way to the best captured.
    pub(super) captures: &'q mut Vec<Span>,
    /// Whether some route did not take the method; it may not take the rest either.
    pub(super) other_method: bool,
    pub(super) text: &'q mut Vec<u8>,
    pub(super) seen: &'q mut Seen,
}

impl<'r, T> Visit<'r, T> for Finder<'r, '_, T> {
    fn wants(&mut self, max_priority: i32) -> bool {
        self.best.is_none_or(|best| max_priority > best.priority)
    }

    fn look(&mut self, slot: &'r Slot<T>, captures: &[Span]) {
        let mut here: Option<&'r Arc<Leaf<T>>> = None;
        slot.each_list(self.request, self.seen, |list, met| {
            for leaf in list {
                let beaten = |best: &Arc<Leaf<T>>| best.order(leaf) != Ordering::Greater;
                if self.best.is_some_and(|best| leaf.priority <= best.priority)
                    || here.is_some_and(beaten)
                {
                    return;
                }
                if !leaf.takes(self.method) {
                    self.other_method = true;
                } else if leaf.refusal(self.request, met, self.text).is_none() {
                    here = Some(leaf);
                    return;
                }
            }
        });
        if here.is_some() {
            self.best = here;
            self.captures.clear();
            self.captures.extend_from_slice(captures);
        }
    }
}

/// Gathers the methods of all routes that would take a request but for its method.
pub(super) struct Allowed<'q> {
    pub(super) request: &'q Request<'q>,
    pub(super) methods: Vec<Arc<str>>,
    pub(super) text: &'q mut Vec<u8>,
    pub(super) seen: &'q mut Seen,
}

impl<'r, T> Visit<'r, T> for Allowed<'_> {
    fn wants(&mut self, _: i32) -> bool {
        true
    }

    fn look(&mut self, slot: &'r Slot<T>, _: &[Span]) {
        slot.each_list(self.request, self.seen, |list, met| {
            for leaf in list {
                if leaf.refusal(self.request, met, self.text).is_none() {
                    for method in &leaf.route.matches.methods {
                        if !self.methods.contains(method) {
                            self.methods.push(Arc::clone(method));
                        }
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::kit::{Asked, With, route};
    use super::*;

    #[test]
    fn once_found_only_higher_priorities_matter() {
        let asked = Asked::new("GET h/");
        let (mut captures, mut text, mut seen) = Default::default();
        let mut finder = Finder {
            request: &asked.request(),
            method: Method::of(b"GET"),
            best: None,
            captures: &mut captures,
            other_method: false,
            text: &mut text,
            seen: &mut seen,
        };
        assert!(finder.wants(i32::MIN));
        let mut slot = Slot::default();
        slot.insert(&Arc::new(Leaf::new(Arc::new(route("r", &["/"]).priority(3)), (), 0)));
        finder.look(&slot, &[]);
        assert!(finder.best.is_some());
        assert_eq!((finder.wants(2), finder.wants(3), finder.wants(4)), (false, false, true));
    }
}
