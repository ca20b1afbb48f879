//! Issuers of tokens: whose tokens are believed, and where their keys come from.

use std::time::Duration;

use portcullis_jose::{Algorithm, Algorithms, KeySet, KeySetLimits};

use super::{Scope, tls};
use crate::model::{Issuer, KeyOrigin, Secret, StoreTls, Url};
use crate::node::Span;
use crate::raw::{IssuerSpec, Size, Spanned};

/// How often keys may be fetched.
const REFRESH: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10)..=Duration::from_secs(7 * 86_400);
/// The longest that one fetch may take.
const SLOWEST: Duration = Duration::from_secs(60);
/// Sizes of documents.
const SIZES: std::ops::RangeInclusive<u64> = 1024..=16 * 1024 * 1024;
const MOST_KEYS: u32 = 1000;
/// Where metadata are (OpenID Connect Discovery 1.0, section 4).
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

pub(crate) fn issuer(spec: &IssuerSpec, scope: &mut Scope<'_>) -> Issuer {
    if spec.issuer.as_str().is_empty() {
        scope.fault(spec.issuer.span, "an empty issuer is none");
    }
    let max_size = size(spec.max_size.as_ref(), scope);
    let max_keys = max_keys(spec.max_keys.as_ref(), scope);
    let limits = KeySetLimits { bytes: max_size, keys: max_keys, symmetric: true };
    let keys = origin(spec, limits, scope);
    let algorithms = algorithms(spec, &keys, scope);
    Issuer {
        name: scope.name.clone(),
        issuer: spec.issuer.as_str().into(),
        algorithms,
        refresh: refresh(spec, scope),
        timeout: timeout(spec, scope),
        max_size,
        max_keys,
        tls: match &spec.tls {
            Some(spec) => tls::store(spec, scope),
            None => StoreTls { ca: None, certificate: None },
        },
        keys,
    }
}

/// Where keys come from; what stands in the configuration must be keys.
fn origin(spec: &IssuerSpec, limits: KeySetLimits, scope: &mut Scope<'_>) -> KeyOrigin {
    let given = [
        ("discovery", spec.discovery.as_ref()),
        ("jwks_url", spec.jwks_url.as_ref()),
        ("jwks", spec.jwks.as_ref()),
        ("public_key", spec.public_key.as_ref()),
        ("secret", spec.secret.as_ref()),
    ];
    let mut given = given.into_iter().filter_map(|(name, written)| Some((name, written?)));
    let first = given.next();
    if let (Some((one, at)), Some((other, also))) = (first, given.next()) {
        let fault =
            scope.fault(also.span, format!("keys come from `{one}` or `{other}`, not both"));
        fault.also = Some((at.span, format!("`{one}` is here")));
    }
    match first {
        None => well_known(&spec.issuer, scope),
        Some(("discovery", written)) => KeyOrigin::Discovery(url(written, scope)),
        Some(("jwks_url", written)) => KeyOrigin::Address(url(written, scope)),
        Some(("jwks", written)) => {
            let text = written.as_str().as_bytes();
            usable(KeySet::from_jwks(text, limits), written.span, scope);
            KeyOrigin::Set(text.into())
        }
        Some(("public_key", written)) => {
            let text = written.as_str().as_bytes();
            usable(KeySet::from_pem(text), written.span, scope);
            KeyOrigin::Pem(text.into())
        }
        Some((_, written)) => {
            usable(KeySet::from_secret(written.as_str().as_bytes(), None), written.span, scope);
            KeyOrigin::Secret(Secret::new(written.as_str()))
        }
    }
}

fn usable(read: Result<KeySet, portcullis_jose::KeyError>, at: Span, scope: &mut Scope<'_>) {
    if scope.incomplete {
        return;
    }
    let why = match read {
        Ok(set) if !set.is_empty() => return,
        Ok(set) => set.skipped().first().map(|skipped| skipped.why.to_string()),
        Err(error) => Some(error.to_string()),
    };
    scope.fault(at, "there is no key here that can be used").label = why.unwrap_or_default();
}

/// The usual place of an issuer's metadata.
fn well_known(issuer: &Spanned<String>, scope: &mut Scope<'_>) -> KeyOrigin {
    let text = format!("{}{WELL_KNOWN}", issuer.as_str().trim_end_matches('/'));
    match text.parse() {
        Ok(url) => {
            plain(&url, issuer, scope);
            KeyOrigin::Discovery(url)
        }
        Err(error) => {
            let shown = issuer.shown();
            let fault = scope.fault(issuer.span, format!("{shown} is no address to find keys at"));
            fault.label = error.to_string();
            fault.help = Some("say where its keys are: `jwks_url`, `jwks`, `public_key`".into());
            KeyOrigin::Set([].into())
        }
    }
}

/// A URL that is called.
pub(super) fn url(written: &Spanned<String>, scope: &mut Scope<'_>) -> Url {
    match written.as_str().parse::<Url>() {
        Ok(url) => {
            plain(&url, written, scope);
            url
        }
        Err(error) => {
            let shown = written.shown();
            scope.fault(written.span, format!("{shown} is no URL that can be called")).label =
                error.to_string();
            Url::nowhere()
        }
    }
}

/// Keys that come without TLS are whose they want to be that stand between.
fn plain(url: &Url, written: &Spanned<String>, scope: &mut Scope<'_>) {
    let local = matches!(url.host(), "localhost" | "127.0.0.1" | "::1");
    if !url.is_tls() && !local {
        scope.warn(written.span, "keys that come over plain HTTP can be anybody's").label =
            "`https` is missing".into();
    }
}

fn algorithms(spec: &IssuerSpec, keys: &KeyOrigin, scope: &mut Scope<'_>) -> Algorithms {
    let secret = matches!(keys, KeyOrigin::Secret(_));
    let Some(written) = &spec.algorithms else {
        let hmac = Algorithms::NONE.with(Algorithm::Hs256);
        return if secret { hmac } else { Algorithms::asymmetric() };
    };
    let mut algorithms = Algorithms::NONE;
    for item in &written.value {
        let shown = item.shown();
        let Ok(algorithm) = item.as_str().parse::<Algorithm>() else {
            let fault = scope.fault(item.span, format!("{shown} is no algorithm of signatures"));
            let names: Vec<&str> = Algorithm::ALL.into_iter().map(Algorithm::name).collect();
            fault.label = format!("expected one of `{}`", names.join("`, `"));
            fault.help = item
                .as_str()
                .eq_ignore_ascii_case("none")
                .then(|| "a token that is not signed is never good".into());
            continue;
        };
        if algorithms.contains(algorithm) {
            scope.fault(item.span, format!("{shown} is here twice"));
        }
        // Keys that are fetched are public ones.
        let fits = match keys {
            KeyOrigin::Set(_) => true,
            KeyOrigin::Secret(_) => algorithm.is_symmetric(),
            _ => !algorithm.is_symmetric(),
        };
        if !fits {
            let what = if secret { "with a shared secret" } else { "with public keys" };
            scope.fault(item.span, format!("nothing is signed by {shown} {what}"));
        }
        algorithms = algorithms.with(algorithm);
        if let KeyOrigin::Secret(text) = keys
            && KeySet::from_secret(text.reveal().as_bytes(), Some(algorithm)).is_err()
            && fits
        {
            scope.fault(item.span, format!("the secret is too short for {shown}"));
        }
    }
    if algorithms.is_empty() && !scope.incomplete {
        scope.fault(written.span, "without algorithms no token is good");
    }
    algorithms
}

fn refresh(spec: &IssuerSpec, scope: &mut Scope<'_>) -> Duration {
    let Some(written) = &spec.refresh else { return Duration::from_secs(15 * 60) };
    if !REFRESH.contains(&written.value.0) {
        scope.fault(written.span, "keys are not fetched as often, or as seldom").label =
            "expected `10s` to `7d`".into();
    }
    written.value.0
}

fn timeout(spec: &IssuerSpec, scope: &mut Scope<'_>) -> Duration {
    let timeout = scope.time(spec.timeout.as_ref(), Duration::from_secs(5));
    if let Some(written) = spec.timeout.as_ref().filter(|_| timeout > SLOWEST) {
        scope.fault(written.span, "no fetch takes that long").label = "at most `1m`".into();
    }
    timeout
}

fn size(written: Option<&Spanned<Size>>, scope: &mut Scope<'_>) -> usize {
    let size = written.map_or(256 * 1024, |written| written.value.0);
    if let Some(written) = written.filter(|_| !SIZES.contains(&size)) {
        scope.fault(written.span, "no document is read for this size").label =
            "expected `1KiB` to `16MiB`".into();
    }
    size.min(*SIZES.end()) as usize
}

fn max_keys(written: Option<&Spanned<u32>>, scope: &mut Scope<'_>) -> usize {
    let keys = written.map_or(100, |written| written.value);
    if let Some(written) = written.filter(|_| !(1..=MOST_KEYS).contains(&keys)) {
        scope.fault(written.span, format!("a set has no {keys} keys")).label =
            "expected 1 to 1000".into();
    }
    keys as usize
}
