//! Consumers, groups, plans and issuers that are named and nobody defines.

use super::Places;
use crate::load::entries::Entries;
use crate::load::unit::{Collection, UnitId, Value};
use crate::node::Span;

/// Most policies that are looked through for a place.
const MOST: usize = 1000;

/// What is missing, and where it was named: the place, whether the whole path to it is there, and
/// whether it is hidden.
type Missing = (&'static str, Option<(Span, bool, bool)>);

/// What is missing, and where it was named.
pub(super) fn missing(
    collection: Collection,
    name: &str,
    id: UnitId,
    entries: &Entries,
    places: &Places<'_>,
) -> Option<Missing> {
    let unit = entries.unit(id)?;
    match collection {
        Collection::Plans => Some(("plan", places.within(entries, id, &["plan"]))),
        Collection::Groups => {
            let Some(Value::Consumer(consumer)) = &unit.value else { return None };
            let index = consumer.groups.iter().position(|group| **group == *name)?.to_string();
            Some(("group", places.within(entries, id, &["groups", &index])))
        }
        Collection::Consumers => {
            let start = usize::from(unit.collection == Collection::Settings);
            let place = (0..MOST).find_map(|index| {
                let index = index.to_string();
                let path = ["policies", &index, "anonymous"];
                places.within(entries, id, &path[start..]).filter(|found| found.1)
            });
            Some(("consumer", place))
        }
        Collection::Issuers => {
            let start = usize::from(unit.collection == Collection::Settings);
            let place = (0..MOST).find_map(|index| {
                let index = index.to_string();
                let path = ["policies", &index, "jwt", "issuers"];
                places.within(entries, id, &path[start..]).filter(|found| found.1)
            });
            Some(("issuer", place))
        }
        _ => None,
    }
}
