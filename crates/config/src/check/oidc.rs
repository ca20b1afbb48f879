//! Logins of browsers.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use portcullis_jose::ClaimPath;

use super::authentication::{items, realm};
use super::{Scope, client, http, token};
use crate::model::{Logout, Method, Name, Oidc, Secret, Session, Url};
use crate::raw::{LogoutSpec, OidcSpec, SessionSpec, Spanned, Time};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);
/// Most secrets that open sessions.
const MOST_SECRETS: usize = 8;
/// Most parameters and scopes, and the longest of each.
const MOST_PARAMETERS: usize = 32;
const LONGEST_PARAMETER: usize = 1024;
/// The longest path.
const LONGEST_PATH: usize = 256;
/// The longest name of a cookie; more is put behind it.
const LONGEST_COOKIE: usize = 64;
/// What the protocol itself says.
const OWN_PARAMETERS: [&str; 13] = [
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
];

pub(super) fn oidc(written: &Spanned<OidcSpec>, scope: &mut Scope<'_>) -> Method {
    let spec = &written.value;
    let callback = path(spec.callback.as_ref(), "/.portcullis/callback", scope);
    let logout = logout(spec.logout.as_ref(), scope);
    if callback == logout.path {
        let at = spec.callback.as_ref().map(|path| path.span);
        let at = at.or(spec.logout.as_ref().and_then(|logout| Some(logout.path.as_ref()?.span)));
        scope.fault(at.unwrap_or(written.span), "`callback` and `logout` need two paths");
    }
    Method::Oidc(Arc::new(Oidc {
        issuer: spec.issuer.as_str().into(),
        client: client::client(&spec.client, scope),
        scopes: scopes(spec, scope),
        parameters: parameters(spec, scope),
        callback,
        origin: spec.origin.as_ref().map(|origin| self::origin(origin, spec, scope)),
        login_timeout: time(
            spec.login_timeout.as_ref(),
            Duration::from_secs(600),
            &(SECOND..=Duration::from_secs(3600)),
            "`1s` to `1h`",
            scope,
        ),
        session: session(spec, scope),
        logout,
        refresh_ahead: ahead(spec, scope),
        user_info: spec.user_info.unwrap_or(false),
        access_token: spec.access_token_header.as_ref().map(|name| token::field(name, scope)),
        plain_http: spec.plain_http.unwrap_or(false),
        roles: match &spec.roles {
            None => vec![ClaimPath::name("roles")],
            roles => items(roles).filter_map(|claim| token::path(claim, scope)).collect(),
        },
        consumer: token::consumer(spec.consumer.as_ref(), spec.require_consumer.as_ref(), scope),
        headers: headers(spec, scope),
        realm: realm(spec.realm.as_ref(), scope),
    }))
}

fn headers(spec: &OidcSpec, scope: &mut Scope<'_>) -> Vec<(Name, ClaimPath)> {
    let headers = token::headers(spec.claims_to_headers.as_ref(), scope);
    if let Some(written) = &spec.access_token_header
        && headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(written.as_str()))
    {
        let shown = written.shown();
        scope.fault(written.span, format!("a claim is written to {shown} already"));
    }
    headers
}

/// What is asked of the provider, as it is sent.
fn scopes(spec: &OidcSpec, scope: &mut Scope<'_>) -> Name {
    let mut words: Vec<Box<str>> = vec!["openid".into()];
    for written in items(&spec.scopes) {
        let word = token::word(written, scope);
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if let Some(written) = items(&spec.scopes).nth(MOST_PARAMETERS) {
        scope.fault(written.span, format!("at most {MOST_PARAMETERS} scopes can be asked for"));
    }
    words.join(" ").into()
}

fn parameters(spec: &OidcSpec, scope: &mut Scope<'_>) -> Vec<(Name, Name)> {
    let mut parameters = Vec::new();
    for (name, value) in spec.parameters.iter().flatten() {
        if OWN_PARAMETERS.contains(&&**name) {
            scope.fault(value.span, format!("`{name}` is the gateway's own to say"));
        } else if !http::is_token(name) || value.as_str().len() > LONGEST_PARAMETER {
            scope.fault(value.span, format!("`{name}` cannot be a parameter with this value"));
        }
        parameters.push((name.as_str().into(), value.as_str().into()));
    }
    if let Some((_, value)) = spec.parameters.iter().flatten().nth(MOST_PARAMETERS) {
        scope.fault(value.span, format!("a login has at most {MOST_PARAMETERS} parameters"));
    }
    parameters
}

/// A path that is the gateway's: written as requests have it once it is normal, for it is compared
/// byte by byte.
fn path(written: Option<&Spanned<String>>, default: &str, scope: &mut Scope<'_>) -> Name {
    let Some(written) = written else { return default.into() };
    let text = written.as_str();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let dots = |segment: &str| segment == "." || segment == "..";
    let legal = (2..=LONGEST_PATH).contains(&text.len())
        && text.starts_with('/')
        && text.bytes().all(plain)
        && !text.contains("//")
        && !text.split('/').any(dots);
    if !legal {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} is no path that can be the gateway's")).label =
            "expected `/` and letters, digits, `-._~/`".into();
    }
    text.into()
}

/// Scheme and host, and nothing behind them.
fn origin(written: &Spanned<String>, spec: &OidcSpec, scope: &mut Scope<'_>) -> Name {
    let text = written.as_str();
    let shown = written.shown();
    let lower = text.to_ascii_lowercase();
    match lower.parse::<Url>() {
        Ok(url) if lower == format!("{}{}", scheme(&url), url.authority()) => {
            if !url.is_tls() && spec.plain_http != Some(true) {
                let fault = scope.fault(written.span, "browsers log in over TLS");
                fault.label = "expected `https://...`".into();
                fault.help = Some("for tests on one machine there is `plain_http: true`".into());
            }
        }
        _ => {
            scope.fault(written.span, format!("{shown} is no origin")).label =
                "expected scheme and host such as `https://shop.example.com`".into();
        }
    }
    lower.into()
}

fn scheme(url: &Url) -> &'static str {
    if url.is_tls() { "https://" } else { "http://" }
}

fn session(spec: &OidcSpec, scope: &mut Scope<'_>) -> Session {
    let SessionSpec { secret, store, cookie, idle, lifetime } = &spec.session.value;
    let secrets = &secret.value.0;
    for written in secrets {
        if written.as_str().len() < Session::SHORTEST_SECRET {
            scope.fault(written.span, "this secret is too short").label =
                format!("expected at least {} bytes", Session::SHORTEST_SECRET);
        }
    }
    if !(1..=MOST_SECRETS).contains(&secrets.len()) && !scope.incomplete {
        scope.fault(secret.span, "sessions are sealed with a secret").label =
            format!("expected 1 to {MOST_SECRETS}");
    }
    Session {
        secrets: secrets.iter().map(|written| Secret::new(written.as_str())).collect(),
        store: store.as_ref().map(|name| name.as_str().into()),
        cookie: cookie
            .as_ref()
            .map_or_else(|| usual_cookie(spec), |name| self::cookie(name, scope)),
        idle: time(
            idle.as_ref(),
            Duration::from_secs(1800),
            &(SECOND..=30 * DAY),
            "`1s` to `30d`",
            scope,
        ),
        lifetime: time(
            lifetime.as_ref(),
            Duration::from_secs(12 * 3600),
            &(SECOND..=365 * DAY),
            "`1s` to `365d`",
            scope,
        ),
    }
}

fn cookie(written: &Spanned<String>, scope: &mut Scope<'_>) -> Name {
    let name = written.as_str();
    let prefixed = name.starts_with("__");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let legal = (1..=LONGEST_COOKIE).contains(&name.len()) && name.bytes().all(plain);
    if !legal || prefixed {
        let shown = written.shown();
        let fault = scope.fault(written.span, format!("{shown} is no name for this cookie"));
        fault.label = format!("expected up to {LONGEST_COOKIE} letters, digits, `-` and `_`");
        fault.help = prefixed.then(|| "`__Host-` is put before it anyhow".into());
    }
    name.into()
}

/// Several clients on one host do not take each other's sessions for spoilt, and one client on
/// several routes has one session.
fn usual_cookie(spec: &OidcSpec) -> Name {
    let mut hash: u32 = 0x811c_9dc5;
    for byte in spec.issuer.as_str().bytes().chain([0]).chain(spec.client.value.id.as_str().bytes())
    {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    format!("portcullis-{hash:08x}").into()
}

fn logout(spec: Option<&LogoutSpec>, scope: &mut Scope<'_>) -> Logout {
    let path = path(spec.and_then(|spec| spec.path.as_ref()), "/.portcullis/logout", scope);
    let then = spec.and_then(|spec| spec.then.as_ref()).map_or("/".into(), |then| {
        let text = then.as_str();
        let plain = |byte: u8| (b'!'..=b'~').contains(&byte) && byte != b'\\' && byte != b'"';
        let local = text.starts_with('/') && !text.starts_with("//");
        if !(local || text.parse::<Url>().is_ok()) || !text.bytes().all(plain) {
            let shown = then.shown();
            scope.fault(then.span, format!("{shown} is nowhere to go after logging out")).label =
                "expected a path or an absolute URL".into();
        }
        text.into()
    });
    Logout { path, then, end_session: spec.and_then(|spec| spec.end_session).unwrap_or(true) }
}

fn ahead(spec: &OidcSpec, scope: &mut Scope<'_>) -> Duration {
    let written = spec.refresh_ahead.as_ref();
    let ahead = written.map_or(Duration::from_secs(60), |written| written.value.0);
    if let Some(written) = written.filter(|_| ahead > Duration::from_secs(3600)) {
        scope.fault(written.span, "tokens are not renewed so early").label = "at most `1h`".into();
    }
    ahead
}

fn time(
    written: Option<&Spanned<Time>>,
    default: Duration,
    range: &RangeInclusive<Duration>,
    expected: &str,
    scope: &mut Scope<'_>,
) -> Duration {
    let Some(written) = written else { return default };
    if !range.contains(&written.value.0) {
        scope.fault(written.span, "this time is out of range").label =
            format!("expected {expected}");
    }
    written.value.0
}
