//! Which policies are asked about a request.

use std::sync::Arc;

use crate::policy::Running;

/// The policies of a request: those of its route, of its service, and global ones.
#[derive(Debug, Clone, Copy)]
pub struct Applying<'s> {
    pub(super) layers: [&'s [Arc<Running>]; 3],
}

impl<'s> Applying<'s> {
    /// Policies by scope, the narrowest first.
    #[must_use]
    pub fn new(layers: [&'s [Arc<Running>]; 3]) -> Applying<'s> {
        Applying { layers }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layers.iter().all(|layer| layer.is_empty())
    }

    /// The policies in the order in which they are asked, without those that a narrower one
    /// replaces.
    pub fn iter(&self) -> impl Iterator<Item = &'s Running> {
        let applying = *self;
        self.layers.into_iter().enumerate().flat_map(move |(layer, policies)| {
            let applies = move |running: &&Running| !applying.is_replaced(layer, running);
            policies.iter().map(|running| &**running).filter(applies)
        })
    }

    /// Whether a narrower policy stands for this one of a layer.
    pub(super) fn is_replaced(&self, layer: usize, running: &Running) -> bool {
        let narrower = self.layers[..layer].iter().copied().flatten();
        narrower.into_iter().any(|narrower| narrower.replaces(running))
    }

    pub(super) fn at(&self, (layer, at): (usize, usize)) -> &'s Running {
        &self.layers[layer][at]
    }
}
