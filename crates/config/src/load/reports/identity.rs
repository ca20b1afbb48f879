//! Consumers, groups, plans and issuers that are named and nobody defines.

use super::Places;
use crate::load::entries::Entries;
use crate::load::unit::{Collection, UnitId, Value};
use crate::model;
use crate::node::Span;

/// Most policies that are looked through for a place.
const MOST: usize = 1000;
/// Most methods of a list.
const MOST_METHODS: usize = 16;

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
            let granter = unit.value.as_ref().and_then(Value::service);
            let granter = granter.and_then(|service| service.upstream_token.as_ref()?.issuer());
            if granter.is_some_and(|issuer| **issuer == *name) {
                let path = ["upstream_token", "issuer"];
                return Some(("issuer", places.within(entries, id, &path)));
            }
            let written = |path: &[&str]| of_method(path, id, entries, places);
            let of_others =
                || written(&["introspection", "issuer"]).or_else(|| written(&["oidc", "issuer"]));
            Some(("issuer", written(&["jwt", "issuers"]).or_else(of_others)))
        }
        Collection::Stores => {
            let path = ["oidc", "session", "store"];
            Some(("store", of_method(&path, id, entries, places)))
        }
        _ => None,
    }
}

/// The place of something in a method of a list of policies, or in a method of a list there.
pub(super) fn of_method(
    path: &[&str],
    id: UnitId,
    entries: &Entries,
    places: &Places<'_>,
) -> Option<(Span, bool, bool)> {
    let unit = entries.unit(id)?;
    let start = usize::from(unit.collection == Collection::Settings);
    let find = |before: &[&str]| {
        let whole = [before, path].concat();
        places.within(entries, id, &whole[start..]).filter(|found| found.1)
    };
    let policies = unit.value.as_ref()?.policies()?;
    let model::Layered::On(_) = &policies.authentication else { return None };
    // A list has one method, so that one place is looked into further.
    let mut lists = Vec::new();
    for index in 0..MOST {
        let index = index.to_string();
        let item = ["policies", &index];
        if places.within(entries, id, &item[start..]).is_none_or(|found| !found.1) {
            break;
        }
        if let Some(found) = find(&item) {
            return Some(found);
        }
        lists.push(index);
    }
    lists.iter().find_map(|index| {
        ["any_of", "all_of"].iter().find_map(|list| {
            (0..MOST_METHODS).find_map(|place| {
                let place = place.to_string();
                find(&["policies", index, list, &place])
            })
        })
    })
}
