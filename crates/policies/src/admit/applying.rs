//! Which policies are asked about a request.

use std::sync::Arc;

use crate::policy::Running;

/// Most groups of a consumer.
pub const MOST_GROUPS: usize = 8;
/// Most layers: those of a consumer, its plan and its groups, of the route, of the service, of all.
const MOST: usize = MOST_GROUPS + 5;

/// The policies of a request, by scope.
#[derive(Debug, Clone, Copy)]
pub struct Applying<'s> {
    list: [&'s [Arc<Running>]; MOST],
    count: usize,
}

impl Default for Applying<'_> {
    fn default() -> Self {
        Applying { list: [&[]; MOST], count: 0 }
    }
}

impl<'s> Applying<'s> {
    /// Policies by scope, the narrowest first.
    #[must_use]
    pub fn new<const N: usize>(layers: [&'s [Arc<Running>]; N]) -> Applying<'s> {
        let mut applying = Applying::default();
        layers.into_iter().for_each(|layer| applying.push(layer));
        applying
    }

    /// Adds those of a wider scope than all before.
    pub fn push(&mut self, layer: &'s [Arc<Running>]) {
        if let (Some(place), false) = (self.list.get_mut(self.count), layer.is_empty()) {
            *place = layer;
            self.count += 1;
        }
    }

    pub(super) fn layers(&self) -> &[&'s [Arc<Running>]] {
        &self.list[..self.count]
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The policies in the order in which they are asked, without those that a narrower one
    /// replaces.
    pub fn iter(&self) -> impl Iterator<Item = &'s Running> {
        let applying = *self;
        let layers = self.list.into_iter().take(self.count);
        layers.enumerate().flat_map(move |(layer, policies)| {
            let applies = move |running: &&Running| !applying.is_replaced(layer, running);
            policies.iter().map(|running| &**running).filter(applies)
        })
    }

    /// Whether a narrower policy stands for this one of a layer.
    pub(super) fn is_replaced(&self, layer: usize, running: &Running) -> bool {
        let narrower = self.list[..layer].iter().copied().flatten();
        narrower.into_iter().any(|narrower| narrower.replaces(running))
    }

    pub(super) fn at(&self, (layer, at): (usize, usize)) -> &'s Running {
        &self.list[layer][at]
    }
}
