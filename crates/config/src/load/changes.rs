//! What is different from one configuration to the next.

use std::sync::Arc;

use crate::model::Name;

/// What is different from one configuration to the next, by stable name, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Listeners.
    pub listeners: Delta,
    /// Services.
    pub services: Delta,
    /// Routes.
    pub routes: Delta,
    /// TCP routes.
    pub tcp_routes: Delta,
    /// Stores.
    pub stores: Delta,
    /// Issuers of tokens.
    pub issuers: Delta,
    /// Consumers.
    pub consumers: Delta,
    /// Groups of consumers.
    pub groups: Delta,
    /// Plans of consumers.
    pub plans: Delta,
    /// Whether the settings of the process are different.
    pub process: bool,
}

impl Changes {
    pub(super) fn sort(&mut self) {
        self.deltas_mut().into_iter().for_each(Delta::sort);
    }

    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        !self.process && self.deltas().into_iter().all(Delta::is_empty)
    }

    fn deltas(&self) -> [&Delta; 9] {
        let Changes {
            listeners,
            services,
            routes,
            tcp_routes,
            stores,
            issuers,
            consumers,
            groups,
            plans,
            process: _,
        } = self;
        [listeners, services, routes, tcp_routes, stores, issuers, consumers, groups, plans]
    }

    fn deltas_mut(&mut self) -> [&mut Delta; 9] {
        let Changes {
            listeners,
            services,
            routes,
            tcp_routes,
            stores,
            issuers,
            consumers,
            groups,
            plans,
            process: _,
        } = self;
        [listeners, services, routes, tcp_routes, stores, issuers, consumers, groups, plans]
    }
}

/// What is different in one collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// New names.
    pub added: Vec<Name>,
    /// Names whose value is different.
    pub changed: Vec<Name>,
    /// Names that are gone.
    pub removed: Vec<Name>,
}

impl Delta {
    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    pub(super) fn note<T>(&mut self, name: &Name, old: Option<&Arc<T>>, new: Option<&Arc<T>>) {
        let list = match (old, new) {
            (None, Some(_)) => &mut self.added,
            (Some(_), None) => &mut self.removed,
            (Some(old), Some(new)) if !Arc::ptr_eq(old, new) => &mut self.changed,
            _ => return,
        };
        list.push(name.clone());
    }

    pub(super) fn sort(&mut self) {
        for list in [&mut self.added, &mut self.changed, &mut self.removed] {
            list.sort();
        }
    }
}
