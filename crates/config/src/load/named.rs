//! Whom the `access` of entries names: consumers, groups and plans, kept up to date by what comes
//! and goes. That nobody defines one of them is no error, since a rule of it is still a rule, but
//! seldom what was meant.

use std::collections::{BTreeMap, BTreeSet};

use super::unit::{Collection, Unit, UnitId};
use crate::model::{Conditions, Name, Policies};

type Key = (Collection, Name);

/// The entries that name somebody.
#[derive(Default)]
pub(crate) struct Named(BTreeMap<Key, BTreeSet<UnitId>>);

impl Named {
    pub(crate) fn add(&mut self, id: UnitId, unit: &Unit) {
        for key in named(unit) {
            self.0.entry(key).or_default().insert(id);
        }
    }

    pub(crate) fn remove(&mut self, id: UnitId, unit: &Unit) {
        for key in named(unit) {
            if let Some(units) = self.0.get_mut(&key) {
                units.remove(&id);
                if units.is_empty() {
                    self.0.remove(&key);
                }
            }
        }
    }

    /// Everybody who is named, and by which entries.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &BTreeSet<UnitId>)> {
        self.0.iter()
    }
}

fn named(unit: &Unit) -> impl Iterator<Item = Key> {
    let policies = unit.value.as_ref().and_then(|value| value.policies());
    policies.into_iter().flat_map(Policies::accesses).flat_map(|access| {
        let lists = access.allow.iter().flatten().chain(&access.deny);
        lists.flat_map(of_conditions)
    })
}

fn of_conditions(conditions: &Conditions) -> impl Iterator<Item = Key> {
    let Conditions { consumers, groups, plans, .. } = conditions;
    let of = |collection, names: &[Name]| {
        let names: Vec<Key> = names.iter().map(|name| (collection, name.clone())).collect();
        names
    };
    let consumers = of(Collection::Consumers, consumers).into_iter();
    consumers.chain(of(Collection::Groups, groups)).chain(of(Collection::Plans, plans))
}
