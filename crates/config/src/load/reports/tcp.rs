//! What TCP routes, listeners and services must be like for each other.

use super::super::entries::Entries;
use super::super::unit::{Collection, UnitId, Value};
use super::{MOST, Places, backups, name};
use crate::model::{HostPattern, Listener, ListenerProtocol, Name};
use crate::report::{Fault, Severity};

pub(super) fn report(entries: &Entries, places: &Places<'_>, faults: &mut Vec<Fault>) {
    clashes(entries, places, faults);
    for (listener, routes) in entries.claims.by_listener() {
        let Some(of) = listener_of(entries, listener) else { continue };
        // Each in the order written.
        let mut routes: Vec<UnitId> = routes.iter().copied().take(MOST).collect();
        match of.protocol {
            ListenerProtocol::TlsPassthrough => continue,
            ListenerProtocol::Http => {
                routes.sort_by_key(|id| places.order(entries, *id));
                faults.extend(routes.into_iter().map(|id| on_http(id, listener, entries, places)));
            }
            ListenerProtocol::Tcp => {
                routes.retain(|id| has_names(entries, *id));
                routes.sort_by_key(|id| places.order(entries, *id));
                faults.extend(routes.into_iter().map(|id| named(id, listener, entries, places)));
            }
        }
    }
    services(entries, places, faults);
    listeners(entries, places, faults);
}

/// TCP routes that take the same connections, and so more than one for a `tcp` listener.
fn clashes(entries: &Entries, places: &Places<'_>, faults: &mut Vec<Fault>) {
    let mut found: Vec<(Vec<UnitId>, String)> = entries
        .claims
        .clashes()
        .take(MOST)
        .map(|((listener, sni), ids)| {
            let mut ids: Vec<UnitId> = ids.iter().copied().collect();
            ids.sort_by_key(|id| places.order(entries, *id));
            let what = match sni {
                Some(HostPattern::Exact(name)) => format!("`{name}`"),
                Some(HostPattern::Suffix(suffix)) => format!("`*{suffix}`"),
                None => "what no other takes".to_owned(),
            };
            (ids, format!("{what} of the listener `{listener}`"))
        })
        .collect();
    found.sort_by_cached_key(|(ids, what)| {
        (ids.first().and_then(|id| places.order(entries, *id)), what.clone())
    });
    for (ids, what) in found {
        let Some((first, others)) = ids.split_first() else { continue };
        for other in others.iter().take(MOST) {
            let (one, two) = (name(entries, *first), name(entries, *other));
            let message = format!("the TCP routes `{one}` and `{two}` both take {what}");
            let mut fault = Fault::error(message);
            fault.places.extend(places.key(entries, *other, "this TCP route"));
            fault.places.extend(places.key(entries, *first, "and this one"));
            faults.push(fault);
        }
    }
}

fn on_http(id: UnitId, listener: &str, entries: &Entries, places: &Places<'_>) -> Fault {
    let mut fault = Fault::error(format!("the listener `{listener}` speaks HTTP"));
    fault.places.extend(places.of(entries, id, &["listener"], "has no TCP routes"));
    fault.help = Some("give the listener `protocol: tcp` or `protocol: tls_passthrough`".into());
    fault
}

fn named(id: UnitId, listener: &str, entries: &Entries, places: &Places<'_>) -> Fault {
    let message = format!("on the `tcp` listener `{listener}` nobody asks for a server name");
    let mut fault = Fault::error(message);
    fault.places.extend(places.of(entries, id, &["sni"], "never matches"));
    fault.help = Some("give the listener `protocol: tls_passthrough`".into());
    fault
}

/// TLS that the endpoint ends cannot be put into TLS of ours.
fn services(entries: &Entries, places: &Places<'_>, faults: &mut Vec<Fault>) {
    for (service, routes) in entries.claims.by_service() {
        let Some(service) = with_tls(entries, service) else { continue };
        for id in routes.iter().take(MOST) {
            let route = entries.unit(*id).and_then(|unit| unit.value.as_ref()?.tcp_route());
            let Some(of) = route.and_then(|route| listener_of(entries, &route.listener)) else {
                continue;
            };
            if of.protocol != ListenerProtocol::TlsPassthrough {
                continue;
            }
            let message = format!("the service `{service}` has `tls`, but TLS passes through");
            let mut fault = Fault::error(message);
            fault.places.extend(places.key(entries, *id, "passes the client's TLS on as it is"));
            let its = entries.find(Collection::Services, service);
            fault.places.extend(its.and_then(|id| places.of(entries, id, &["tls"], "set here")));
            faults.push(fault);
        }
    }
}

/// The service, or the first of those that take over for it, that has TLS of its own.
fn with_tls<'e>(entries: &'e Entries, first: &'e Name) -> Option<&'e Name> {
    let mut seen = vec![first];
    loop {
        let name = *seen.last()?;
        let service = backups::service(entries, name)?;
        if service.tls.is_some() {
            return Some(name);
        }
        let next = service.backup.as_ref()?;
        if seen.contains(&next) {
            return None;
        }
        seen.push(next);
    }
}

/// Listeners that no TCP route takes connections of, and those that HTTP routes name in vain.
fn listeners(entries: &Entries, places: &Places<'_>, faults: &mut Vec<Fault>) {
    let mut names: Vec<Name> = entries.names(Collection::Listeners).map(Name::from).collect();
    names.retain(|name| {
        listener_of(entries, name).is_some_and(|l| l.protocol != ListenerProtocol::Http)
    });
    names.sort_unstable();
    let broken = faults.iter().any(|fault| fault.severity == Severity::Error);
    for listener in names {
        let routes = entries.claims.of_listener(&listener).map_or(0, |routes| routes.len());
        let callers = entries.callers(Collection::Listeners, &listener);
        // Those of its TCP routes are no fault, and may be many.
        if callers.map_or(0, |callers| callers.len()) > routes {
            let mut http: Vec<UnitId> = callers.into_iter().flatten().copied().collect();
            http.retain(|id| {
                entries.unit(*id).is_some_and(|unit| unit.collection == Collection::Routes)
            });
            http.sort_by_key(|id| places.order(entries, *id));
            for id in http.into_iter().take(MOST) {
                let route = name(entries, id);
                let message = format!("the listener `{listener}` does not speak HTTP");
                let mut fault = Fault::error(message);
                let label = format!("the route `{route}` is for HTTP");
                fault.places.extend(places.of(entries, id, &["match", "listener"], &label));
                fault.help = Some("write it under `tcp_routes`".into());
                faults.push(fault);
            }
        }
        if routes == 0 && !broken {
            let message = format!("no TCP route takes connections of the listener `{listener}`");
            let mut fault = Fault::error(message);
            fault.severity = Severity::Warning;
            let id = entries.find(Collection::Listeners, &listener);
            let place = id.and_then(|id| places.key(entries, id, "refuses every connection"));
            fault.places.extend(place);
            faults.push(fault);
        }
    }
}

fn listener_of<'e>(entries: &'e Entries, name: &Name) -> Option<&'e Listener> {
    entries.value(Collection::Listeners, name).and_then(Value::listener).map(|found| &**found)
}

fn has_names(entries: &Entries, id: UnitId) -> bool {
    let route = entries.unit(id).and_then(|unit| unit.value.as_ref()?.tcp_route());
    route.is_some_and(|route| !route.sni.is_empty())
}
