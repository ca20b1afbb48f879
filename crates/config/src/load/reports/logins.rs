//! Logins of browsers that cannot work where they are: their provider does not say where to log in,
//! or no listener of theirs is reached over TLS.

use std::collections::BTreeSet;

use super::super::entries::Entries;
use super::super::unit::{Collection, UnitId, Value};
use super::{MOST, Places, identity};
use crate::model::{Authentication, KeyOrigin, Layered, Listener, Method, Name, Oidc, Trust};
use crate::report::Fault;

pub(super) fn report(entries: &Entries, places: &Places<'_>, faults: &mut Vec<Fault>) {
    let mut units: BTreeSet<UnitId> = BTreeSet::new();
    for name in entries.names(Collection::Issuers) {
        units.extend(entries.callers(Collection::Issuers, &Name::from(name)).into_iter().flatten());
    }
    let with_login = units.into_iter().filter_map(|id| Some((id, login(entries, id)?)));
    for (id, login) in with_login.take(MOST) {
        faults.extend(undiscovered(entries, places, id, login));
        faults.extend(plain(entries, places, id, login));
    }
}

/// The login that an entry asks for, if it does.
fn login(entries: &Entries, id: UnitId) -> Option<&Oidc> {
    let policies = entries.unit(id).filter(|unit| !unit.has_error())?.value.as_ref()?.policies()?;
    let Layered::On(authentication) = &policies.authentication else { return None };
    let Authentication { method: Some(method), .. } = &**authentication else { return None };
    in_method(method)
}

fn in_method(method: &Method) -> Option<&Oidc> {
    match method {
        Method::Oidc(oidc) => Some(oidc),
        Method::AnyOf(methods) | Method::AllOf(methods) => methods.iter().find_map(in_method),
        _ => None,
    }
}

/// Only metadata say where browsers log in.
fn undiscovered(entries: &Entries, places: &Places<'_>, id: UnitId, login: &Oidc) -> Option<Fault> {
    let Value::Issuer(issuer) = entries.value(Collection::Issuers, &login.issuer)? else {
        return None;
    };
    if matches!(issuer.keys, KeyOrigin::Discovery(_)) {
        return None;
    }
    let name = &login.issuer;
    let mut fault = Fault::error(format!("nobody knows where to log in with the issuer `{name}`"));
    let at = identity::of_method(&["oidc", "issuer"], id, entries, places);
    let at = at.map_or(entries.unit(id)?.key, |found| found.0);
    fault.places.extend(places.place(entries, id, at, "its browsers log in there"));
    let issuer = entries.find(Collection::Issuers, name)?;
    fault.places.extend(places.key(entries, issuer, "its keys do not come by `discovery`"));
    fault.help = Some("give the issuer `discovery`, or nothing but `issuer`".into());
    Some(fault)
}

/// Whether browsers can ever be on TLS, here or at a proxy in front.
fn plain(entries: &Entries, places: &Places<'_>, id: UnitId, login: &Oidc) -> Option<Fault> {
    if login.plain_http {
        return None;
    }
    let unit = entries.unit(id)?;
    let named = unit.value.as_ref().and_then(Value::route).map(|route| &route.matches.listeners);
    let all: Vec<Name> = match named.filter(|listeners| !listeners.is_empty()) {
        Some(listeners) => listeners.clone(),
        None => entries.names(Collection::Listeners).map(Name::from).collect(),
    };
    let secure = |listener: &Listener| {
        listener.tls.is_some() || !matches!(listener.forwarded.trust, Trust::Nobody)
    };
    let known = |name: &Name| match entries.value(Collection::Listeners, name) {
        Some(Value::Listener(listener)) => secure(listener),
        // What is wrong with it is told elsewhere.
        _ => true,
    };
    if all.iter().any(known) || all.is_empty() {
        return None;
    }
    let mut fault = Fault::error("no browser can log in here: no listener is reached over TLS");
    let at = identity::of_method(&["oidc"], id, entries, places);
    let at = at.map_or(unit.key, |found| found.0);
    fault.places.extend(places.place(entries, id, at, "its cookies need TLS"));
    let listener = entries.find(Collection::Listeners, all.first()?);
    let label = "neither `tls` nor a trusted proxy";
    fault.places.extend(listener.and_then(|id| places.key(entries, id, label)));
    fault.help = Some(
        "give a listener `tls`, or name the proxy that speaks it in `forwarded.trusted`; for tests \
         on one machine there is `plain_http: true`"
            .into(),
    );
    Some(fault)
}
