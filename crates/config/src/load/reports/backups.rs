//! Services that take over for others: no way over them may lead in a circle.

use super::super::entries::Entries;
use super::super::unit::{Collection, Value};
use super::{MOST, Places};
use crate::model::{Name, Service};
use crate::report::Fault;

/// A circle is told once, at the first of its services by name.
pub(super) fn report(entries: &Entries, places: &Places<'_>, faults: &mut Vec<Fault>) {
    let mut names: Vec<Name> = entries.names(Collection::Services).map(Name::from).collect();
    names.retain(|name| service(entries, name).is_some_and(|service| service.backup.is_some()));
    names.sort_unstable();
    let circles = names.iter().filter_map(|name| {
        let circle = circle(entries, name)?;
        (circle.iter().min() == Some(name)).then_some(circle)
    });
    for circle in circles.take(MOST) {
        let listed: Vec<String> = circle.iter().map(|name| format!("`{name}`")).collect();
        let mut fault = Fault::error(format!(
            "these services back each other up in a circle: {}",
            listed.join(", ")
        ));
        for name in circle.iter().take(MOST) {
            let id = entries.find(Collection::Services, name);
            let place = id.and_then(|id| places.of(entries, id, &["backup"], "leads on"));
            fault.places.extend(place);
        }
        fault.help = Some("the last one to take over has no backup of its own".into());
        faults.push(fault);
    }
}

/// The services from `first` back to itself, if its backups lead there.
fn circle(entries: &Entries, first: &Name) -> Option<Vec<Name>> {
    let mut way = vec![first.clone()];
    loop {
        let next = service(entries, way.last()?)?.backup.clone()?;
        if next == *first {
            return Some(way);
        }
        // A circle further on is none of this one's.
        if way.contains(&next) {
            return None;
        }
        way.push(next);
    }
}

pub(super) fn service<'e>(entries: &'e Entries, name: &Name) -> Option<&'e Service> {
    entries.value(Collection::Services, name).and_then(Value::service).map(|found| &**found)
}
