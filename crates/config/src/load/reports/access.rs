//! Consumers, groups and plans that `access` names and nobody defines.

use super::super::entries::Entries;
use super::super::unit::{Collection, UnitId};
use super::Places;
use crate::model::{Conditions, Name};
use crate::node::Span;
use crate::report::{Fault, Severity, nearest};

/// Most that are told one by one: to find the place of each, its entry is read again.
const MOST: usize = 100;
/// Most policies of an entry that are looked through for a place.
const MOST_POLICIES: usize = 1000;

/// A store may have consumers that the configuration does not know, so nothing is said beside one.
pub(super) fn report(entries: &Entries, places: &Places<'_>, faults: &mut Vec<Fault>) {
    if entries.process().credentials.store.is_some() {
        return;
    }
    let unknown = entries.named.all().filter(|((collection, name), _)| {
        !name.trim().is_empty() && entries.find(*collection, name).is_none()
    });
    let mut each = unknown.flat_map(|((collection, name), units)| {
        units.iter().map(move |id| (*collection, &**name, *id))
    });
    for (collection, name, id) in each.by_ref().take(MOST) {
        faults.extend(unknown_one(collection, name, id, entries, places));
    }
    let more = each.count();
    if more > 0 {
        let message = format!("`access` names {more} more that nobody defines");
        let mut fault = Fault::error(message);
        fault.severity = Severity::Warning;
        faults.push(fault);
    }
}

fn unknown_one(
    collection: Collection,
    name: &str,
    id: UnitId,
    entries: &Entries,
    places: &Places<'_>,
) -> Option<Fault> {
    let key = key(collection);
    // What is wrong with an entry comes first.
    let unit = entries.unit(id).filter(|unit| !unit.has_error())?;
    let written = place(collection, name, id, entries, places);
    let (span, _, hidden) = written.unwrap_or((unit.key, false, false));
    let mut fault = if hidden {
        Fault::error(format!("there is no {key} of the name that this reference brings in"))
    } else {
        let mut fault = Fault::error(format!("there is no {key} `{name}`"));
        let near = nearest(name, entries.names(collection));
        fault.help = near.map(|near| format!("did you mean `{near}`?"));
        fault
    };
    fault.severity = Severity::Warning;
    fault.places.extend(places.place(entries, id, span, "nobody meets this"));
    Some(fault)
}

fn key(collection: Collection) -> &'static str {
    match collection {
        Collection::Consumers => "consumer",
        Collection::Groups => "group",
        _ => "plan",
    }
}

/// Where an entry names somebody first.
fn place(
    collection: Collection,
    name: &str,
    id: UnitId,
    entries: &Entries,
    places: &Places<'_>,
) -> Option<(Span, bool, bool)> {
    let unit = entries.unit(id)?;
    let start = usize::from(unit.collection == Collection::Settings);
    let find = |path: &[&str]| places.within(entries, id, &path[start..]).filter(|found| found.1);
    let policies = unit.value.as_ref()?.policies()?;
    let (nth, list, item, word) = policies.accesses().enumerate().find_map(|(nth, access)| {
        let lists =
            [("allow", access.allow.as_deref().unwrap_or_default()), ("deny", &access.deny)];
        let mut all = lists.into_iter().flat_map(|(list, items)| {
            items.iter().enumerate().map(move |(item, conditions)| (list, item, conditions))
        });
        all.find_map(|(list, item, conditions)| {
            let names = of(collection, conditions);
            Some((nth, list, item, names.iter().position(|one| **one == *name)?))
        })
    })?;
    let (item, word) = (item.to_string(), word.to_string());
    // The list has other policies too.
    let indices = (0..MOST_POLICIES).map(|index| index.to_string());
    let written = indices.take_while(|index| find(&["policies", index]).is_some());
    let policy = written.filter(|index| find(&["policies", index, "access"]).is_some()).nth(nth)?;
    let path = ["policies", &policy, "access", list, &item, key(collection), &word];
    find(&path).or_else(|| find(&path[..6]))
}

fn of(collection: Collection, conditions: &Conditions) -> &[Name] {
    match collection {
        Collection::Consumers => &conditions.consumers,
        Collection::Groups => &conditions.groups,
        _ => &conditions.plans,
    }
}
