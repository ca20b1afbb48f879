//! How requests are spread over the endpoints of a service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Scope, http, token};
use crate::model::{
    Availability, Balance, Endpoint, HashAlgorithm, HashBalance, HashPart, SameSite, Secret,
    SlowStart, Sticky,
};
use crate::node::Span;
use crate::raw::{
    AvailabilitySpec, BalanceSpec, HashAlgorithmSpec, HashPartSpec, HashSpec, SameSiteSpec,
    SlowStartSpec, Spanned, StickySpec,
};

/// The last priority level.
const LAST_LEVEL: u8 = 15;
/// Most characters in the name of a zone.
const LONGEST_ZONE: usize = 128;
/// Fewest bytes of a key: as many as the hash has.
const SHORTEST_KEY: usize = 32;
/// The largest bound of load: beyond it there is none to speak of.
const LOOSEST: f64 = 100.0;

pub(super) fn balance(spec: Option<&Spanned<BalanceSpec>>, scope: &mut Scope<'_>) -> Balance {
    let Some(written) = spec else { return Balance::RoundRobin };
    match &written.value {
        BalanceSpec::RoundRobin => Balance::RoundRobin,
        BalanceSpec::LeastRequests => Balance::LeastRequests,
        BalanceSpec::PeakEwma(spec) => {
            Balance::PeakEwma { decay: scope.time(spec.decay.as_ref(), Duration::from_secs(10)) }
        }
        BalanceSpec::Hash(spec) => Balance::Hash(hash(spec, scope)),
        BalanceSpec::NotOne => {
            if !scope.incomplete {
                scope.fault(written.span, "endpoints are chosen in one way").label =
                    "expected one of `hash` and `peak_ewma`".into();
            }
            Balance::RoundRobin
        }
    }
}

fn hash(spec: &HashSpec, scope: &mut Scope<'_>) -> HashBalance {
    let mut by: Vec<HashPart> = Vec::new();
    let mut places: Vec<Span> = Vec::new();
    for written in &spec.by.value.0 {
        let Some(part) = hash_part(written, scope) else { continue };
        if let Some(first) = by.iter().position(|known| *known == part) {
            scope.fault(written.span, format!("`{part}` is hashed twice")).also =
                Some((places[first], "first here".into()));
            continue;
        }
        by.push(part);
        places.push(written.span);
    }
    if spec.by.value.0.is_empty() && !scope.incomplete {
        scope.fault(spec.by.span, "there is nothing to hash").label =
            "expected `ip`, `{ header: NAME }` or the like".into();
    }
    let bounded_load = spec.bounded_load.as_ref().map(|written| {
        if !(written.value > 1.0 && written.value <= LOOSEST) {
            let fault = scope.fault(
                written.span,
                "an endpoint must be allowed somewhat more than its share of the requests",
            );
            fault.label = format!("expected more than 1 and at most {LOOSEST}, such as `1.25`");
        }
        written.value
    });
    HashBalance {
        by,
        algorithm: match spec.algorithm {
            None | Some(HashAlgorithmSpec::Maglev) => HashAlgorithm::Maglev,
            Some(HashAlgorithmSpec::Ring) => HashAlgorithm::Ring,
        },
        bounded_load,
    }
}

fn hash_part(written: &Spanned<HashPartSpec>, scope: &mut Scope<'_>) -> Option<HashPart> {
    Some(match &written.value {
        HashPartSpec::Ip => HashPart::Ip,
        HashPartSpec::Header(name) => HashPart::Header(http::field_name(name, scope)),
        HashPartSpec::Cookie(name) => HashPart::Cookie(cookie_name(name, scope)),
        HashPartSpec::Query(name) => HashPart::Query(some_name(name, scope)),
        HashPartSpec::Param(name) => HashPart::Param(some_name(name, scope)),
        HashPartSpec::Claim(path) => HashPart::Claim(token::path(path, scope)?),
        HashPartSpec::NotOne => {
            if !scope.incomplete {
                scope.fault(written.span, "one thing of the request at a time").label =
                    "expected one of `header`, `cookie`, `query`, `param` and `claim`".into();
            }
            return None;
        }
    })
}

fn some_name(name: &Spanned<String>, scope: &mut Scope<'_>) -> Arc<str> {
    if name.as_str().is_empty() {
        scope.fault(name.span, "a name is missing");
    }
    name.as_str().into()
}

fn cookie_name(name: &Spanned<String>, scope: &mut Scope<'_>) -> Arc<str> {
    if !http::is_token(name.as_str()) {
        let shown = name.shown();
        scope.fault(name.span, format!("{shown} is no name of a cookie")).label =
            "expected letters, digits, `-` and `_`".into();
    }
    name.as_str().into()
}

pub(super) fn slow_start(spec: &SlowStartSpec, scope: &mut Scope<'_>) -> SlowStart {
    let min_share = spec.min_share.as_ref().map_or(0.1, |written| {
        if written.value.0 < 0.01 {
            scope.fault(written.span, "whoever gets nothing never warms up").label =
                "expected at least `1%`".into();
        }
        written.value.0
    });
    let window = scope.time(Some(&spec.window), spec.window.value.0);
    SlowStart { window, min_share }
}

pub(super) fn availability(spec: &AvailabilitySpec) -> Availability {
    let Availability { spill_below, panic_below } = Availability::default();
    Availability {
        spill_below: spec.spill_below.map_or(spill_below, |share| share.0),
        panic_below: spec.panic_below.map_or(panic_below, |share| share.0),
    }
}

/// An endpoint's priority level.
pub(super) fn priority(written: Option<&Spanned<u8>>, scope: &mut Scope<'_>) -> u8 {
    let Some(written) = written else { return 0 };
    if written.value > LAST_LEVEL {
        scope.fault(written.span, format!("the last priority level is {LAST_LEVEL}"));
    }
    written.value
}

/// The name of a zone.
pub(crate) fn zone(written: &Spanned<String>, scope: &mut Scope<'_>) -> Arc<str> {
    let name = written.as_str();
    if !(1..=LONGEST_ZONE).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} is no name of a zone")).label =
            format!("expected 1 to {LONGEST_ZONE} characters");
    }
    name.into()
}

/// Looks at the endpoints together: levels that do nothing, or not what they seem to.
pub(super) fn levels(endpoints: &[Endpoint], at: Span, scope: &mut Scope<'_>) {
    let mut weights: BTreeMap<u8, u32> = BTreeMap::new();
    for endpoint in endpoints {
        *weights.entry(endpoint.priority).or_default() += u32::from(endpoint.weight);
    }
    if weights.values().all(|&weight| weight == 0) {
        return;
    }
    for ((&level, &weight), expected) in weights.iter().zip(0u8..) {
        if level != expected && !scope.incomplete {
            let warning = scope.warn(at, format!("no endpoint has priority {expected}"));
            warning.label = format!("the next level is {level}");
            warning.help = Some("levels count from 0; gaps say nothing".into());
            return;
        }
        if weight == 0 {
            scope.warn(at, format!("nobody of priority {level} takes requests")).label =
                "all of them have weight 0".into();
        }
    }
}

pub(super) fn sticky(spec: &StickySpec, scope: &mut Scope<'_>) -> Sticky {
    let cookie = spec.cookie.as_ref().map(|name| cookie_name(name, scope));
    let path = spec.path.as_ref().map_or("/".into(), |path| cookie_path(path, scope));
    let secure = spec.secure.as_ref().map(|secure| secure.value);
    let same_site = match spec.same_site.as_ref().map(|written| written.value) {
        Some(SameSiteSpec::Strict) => SameSite::Strict,
        None | Some(SameSiteSpec::Lax) => SameSite::Lax,
        Some(SameSiteSpec::None) => SameSite::None,
    };
    if let Some(written) = spec.same_site.as_ref().filter(|_| same_site == SameSite::None)
        && secure != Some(true)
    {
        scope.fault(written.span, "browsers refuse such a cookie unless it is `Secure`").help =
            Some("set `secure: true` beside it".into());
    }
    prefixes(spec, &path, scope);
    let max_age = scope.own_time(spec.max_age.as_ref());
    let short = |age: Duration| !age.is_zero() && age < Duration::from_secs(1);
    if let Some(written) = spec.max_age.as_ref().filter(|written| short(written.value.0)) {
        scope.fault(written.span, "a cookie's age counts in seconds").label =
            "expected at least `1s`".into();
    }
    Sticky {
        cookie,
        path,
        max_age,
        secure,
        http_only: spec.http_only.unwrap_or(true),
        same_site,
        key: spec.key.as_ref().map(|key| secret(key, scope)),
    }
}

/// Browsers hold cookies of these names to what the names say (RFC 6265bis, 4.1.3).
fn prefixes(spec: &StickySpec, path: &str, scope: &mut Scope<'_>) {
    let Some(name) = &spec.cookie else { return };
    let begins = |prefix: &str| {
        let text = name.as_str().as_bytes();
        text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    let (host, secure) = (begins("__Host-"), begins("__Secure-"));
    if (host || secure) && spec.secure.as_ref().is_none_or(|secure| !secure.value) {
        scope
            .fault(name.span, "browsers refuse a cookie of this name unless it is `Secure`")
            .help = Some("set `secure: true` beside it".into());
    }
    if host && path != "/" {
        scope.fault(name.span, "browsers refuse a cookie of this name unless its path is `/`");
    }
}

fn cookie_path(path: &Spanned<String>, scope: &mut Scope<'_>) -> Arc<str> {
    let text = path.as_str();
    let legal = |byte: u8| (0x20..0x7f).contains(&byte) && byte != b';';
    if !text.starts_with('/') || !text.bytes().all(legal) || text.ends_with(' ') {
        let shown = path.shown();
        scope.fault(path.span, format!("{shown} is no path of a cookie")).label =
            "expected `/` and what may stand in a path".into();
    }
    text.into()
}

fn secret(key: &Spanned<String>, scope: &mut Scope<'_>) -> Secret {
    let bytes = key.as_str().as_bytes();
    if bytes.len() < SHORTEST_KEY {
        let fault = scope.fault(key.span, "the key is too short to be a secret");
        fault.label = format!("{} bytes; expected at least {SHORTEST_KEY}", bytes.len());
        fault.help = Some("`openssl rand -base64 32` makes one".into());
    }
    Secret::new(key.as_str())
}
