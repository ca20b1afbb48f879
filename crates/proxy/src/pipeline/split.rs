//! Which of a route's services a request goes to: drawn by weight, or the same for the same client.

use std::hash::Hasher;
use std::time::Duration;

use portcullis_config::model::{SplitBy, Trust};
use portcullis_wire::{Fields, Known, Scheme};
use siphasher::sip::SipHasher13;

use super::Exchange;
use crate::forwarding::{self, Peer};
use crate::router::cookies;
use crate::snapshot::CompiledRoute;

/// The slot of a service of `route`; `None` where there is none.
pub(super) fn choose(exchange: &mut Exchange<'_, '_>, route: &CompiledRoute) -> Option<usize> {
    if let [(slot, _)] = &*route.services {
        return Some(*slot);
    }
    if let Some(held) = held(route, &exchange.scratch.request.fields) {
        return Some(held);
    }
    let total = route.total_weight;
    let point = match &route.split_by {
        SplitBy::Random | SplitBy::Header(_) => fastrand::u32(..total.max(1)),
        SplitBy::Cookie(name, max_age) => {
            point_of(give_cookie(exchange, name, *max_age).as_bytes(), total)
        }
    };
    at(&route.services, point)
}

/// The service that something in the request holds it to, if anything does.
pub(crate) fn held(route: &CompiledRoute, fields: &Fields) -> Option<usize> {
    let value = match &route.split_by {
        SplitBy::Random => None,
        SplitBy::Header(name) => fields.all(name.as_bytes()).next(),
        SplitBy::Cookie(name, _) => {
            cookies(fields, name.as_bytes()).find(|value| !value.is_empty())
        }
    };
    at(&route.services, point_of(value?, route.total_weight))
}

/// A new value for a cookie, which the client is given.
fn give_cookie(exchange: &mut Exchange<'_, '_>, name: &str, max_age: Option<Duration>) -> String {
    let value = format!("{:016x}", fastrand::u64(..));
    let mut cookie = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax");
    if let Some(age) = max_age {
        cookie.push_str(&format!("; Max-Age={}", age.as_secs().max(1)));
    }
    if is_secure(exchange) {
        cookie.push_str("; Secure");
    }
    exchange.scratch.added.push(b"Set-Cookie", cookie.as_bytes());
    value
}

/// Whether the client speaks TLS, to us or to a proxy in front that we trust.
pub(super) fn is_secure(exchange: &Exchange<'_, '_>) -> bool {
    let trust = &exchange.serving.settings.listener.forwarded.trust;
    speaks_tls(trust, &exchange.client.peer, &exchange.scratch.request.fields)
}

/// Whether a peer speaks TLS, or says of its client that it does and is trusted.
pub(crate) fn speaks_tls(trust: &Trust, peer: &Peer, fields: &Fields) -> bool {
    let said = || fields.first(Known::XForwardedProto) == Some(b"https");
    peer.scheme == Scheme::Https || (forwarding::is_trusted(trust, peer) && said())
}

/// The same for the same value, here and on every other gateway, now and after an update.
fn point_of(value: &[u8], total: u32) -> u32 {
    let mut hasher = SipHasher13::new();
    hasher.write(value);
    ((u128::from(hasher.finish()) * u128::from(total)) >> 64) as u32
}

/// The service at a point: each takes as many as its weight, in the order configured. So a share
/// that grows takes clients from its neighbour alone.
fn at(services: &[(usize, u32)], mut point: u32) -> Option<usize> {
    let hit = services.iter().find(|(_, weight)| {
        let hit = point < *weight;
        point = point.saturating_sub(*weight);
        hit
    });
    hit.map(|(slot, _)| *slot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_has_its_service() {
        let services = [(7, 2), (8, 0), (9, 1)];
        assert_eq!(
            [0, 1, 2, 3].map(|point| at(&services, point)),
            [Some(7), Some(7), Some(9), None]
        );
    }

    #[test]
    fn a_value_stays_with_its_service_unless_the_shares_take_it_away() {
        let values: Vec<String> = (0..10_000).map(|i| format!("user-{i}")).collect();
        let chosen = |canary: u32| -> Vec<Option<usize>> {
            let services = [(0, 100 - canary), (1, canary)];
            values.iter().map(|value| at(&services, point_of(value.as_bytes(), 100))).collect()
        };
        let (few, more) = (chosen(10), chosen(20));
        let count = |chosen: &[Option<usize>]| chosen.iter().filter(|c| **c == Some(1)).count();
        assert!((900..1100).contains(&count(&few)), "{}", count(&few));
        assert!((1850..2150).contains(&count(&more)), "{}", count(&more));
        // Nobody who had the canary loses it.
        assert!(few.iter().zip(&more).all(|(few, more)| few == more || *few == Some(0)));
    }

    #[test]
    fn what_a_value_means_never_changes() {
        // Other gateways, and later ones, must agree.
        assert_eq!([b"a".as_slice(), b"user-1", b""].map(|v| point_of(v, 1000)), [251, 26, 820]);
    }
}
