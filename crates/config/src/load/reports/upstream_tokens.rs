//! What issuers and TCP routes must be like for services that are shown a token.

use super::super::entries::Entries;
use super::super::unit::{Collection, UnitId, Value};
use super::{MOST, Places, backups, name};
use crate::model::{Granter, KeyOrigin, Name, UpstreamToken};
use crate::report::Fault;

pub(super) fn report(entries: &Entries, places: &Places<'_>, faults: &mut Vec<Fault>) {
    let mut issuers: Vec<Name> = entries.names(Collection::Issuers).map(Name::from).collect();
    issuers.retain(|issuer| !tells_endpoints(entries, issuer));
    issuers.sort_unstable();
    for issuer in issuers {
        let mut ids: Vec<UnitId> =
            entries.callers(Collection::Issuers, &issuer).into_iter().flatten().copied().collect();
        ids.retain(|id| asks_metadata(entries, *id, &issuer));
        ids.sort_by_key(|id| places.order(entries, *id));
        for id in ids.into_iter().take(MOST) {
            let message = format!("the issuer `{issuer}` has no metadata that say where it grants");
            let mut fault = Fault::error(message);
            let label = "named without `endpoint`";
            let place = places.of(entries, id, &["upstream_token", "issuer"], label);
            fault.places.extend(place);
            fault.help = Some("say where tokens are granted: `endpoint`".into());
            faults.push(fault);
        }
    }
    tcp_routes(entries, places, faults);
}

/// Bytes of TCP go on as they come: there is no head that a token could stand in.
fn tcp_routes(entries: &Entries, places: &Places<'_>, faults: &mut Vec<Fault>) {
    for (service, routes) in entries.claims.by_service() {
        if backups::service(entries, service).is_none_or(|it| it.upstream_token.is_none()) {
            continue;
        }
        for id in routes.iter().take(MOST) {
            let route = name(entries, *id);
            let message = format!("the TCP route `{route}` cannot show a token to `{service}`");
            let mut fault = Fault::error(message);
            fault.places.extend(places.key(entries, *id, "passes bytes on as they come"));
            let its = entries.find(Collection::Services, service);
            let place = its.and_then(|id| places.of(entries, id, &["upstream_token"], "set here"));
            fault.places.extend(place);
            faults.push(fault);
        }
    }
}

/// Whether an issuer has metadata; one that nobody defines is a fault of its own.
fn tells_endpoints(entries: &Entries, issuer: &Name) -> bool {
    let issuer = entries.value(Collection::Issuers, issuer).and_then(Value::issuer);
    issuer.is_none_or(|issuer| matches!(issuer.keys, KeyOrigin::Discovery(_)))
}

fn asks_metadata(entries: &Entries, id: UnitId, issuer: &str) -> bool {
    let unit = entries.unit(id);
    let service = unit.and_then(|unit| unit.value.as_ref()?.service());
    let token = service.and_then(|service| service.upstream_token.as_deref());
    token.is_some_and(|UpstreamToken { granter, .. }| {
        matches!(granter, Granter::Issuer { name, endpoint: None } if **name == *issuer)
    })
}
