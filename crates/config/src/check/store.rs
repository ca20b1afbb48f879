//! Stores that several nodes count in, and the policies that do.

use std::time::Duration;

use super::{Scope, address, tls};
use crate::model::{Address, Login, Name, OnFailure, Secret, Servers, Sharing, SharingMode, Store};
use crate::raw::{OnFailureSpec, RedisSpec, SentinelSpec, SharingModeSpec, Spanned, StoreSpec};

/// The longest that a request may wait for a store.
const SLOWEST: Duration = Duration::from_secs(10);
/// The longest prefix of keys.
const LONGEST_PREFIX: usize = 64;
/// The highest number of a database.
const MOST_DATABASES: u32 = 1_000_000;

pub(crate) fn store(spec: &StoreSpec, scope: &mut Scope<'_>) -> Store {
    let redis = &spec.redis.value;
    let timeout = scope.time(spec.timeout.as_ref(), Duration::from_millis(20));
    if let Some(written) = spec.timeout.as_ref().filter(|_| timeout > SLOWEST) {
        scope.fault(written.span, "no request waits that long for a store").label =
            "at most `10s`".into();
    }
    Store {
        name: scope.name.clone(),
        servers: servers(&spec.redis, scope),
        login: login(redis.username.as_ref(), redis.password.as_ref(), scope),
        tls: redis.tls.as_ref().map(|spec| tls::store(spec, scope)),
        database: database(redis, scope),
        prefix: prefix(spec.prefix.as_ref(), scope),
        timeout,
        on_failure: match spec.on_failure {
            Some(OnFailureSpec::Open) => OnFailure::Open,
            Some(OnFailureSpec::Closed) => OnFailure::Closed,
            None | Some(OnFailureSpec::Local) => OnFailure::Local,
        },
    }
}

/// Where and how a policy counts together with other nodes, if it does.
pub(super) fn sharing(
    store: Option<&Spanned<String>>,
    mode: Option<&Spanned<SharingModeSpec>>,
    scope: &mut Scope<'_>,
) -> Option<Sharing> {
    let Some(store) = store else {
        if let Some(mode) = mode {
            scope.fault(mode.span, "without a store nobody counts together").label =
                "only with `store`".into();
        }
        return None;
    };
    let mode = match mode.map(|mode| mode.value) {
        None | Some(SharingModeSpec::Exact) => SharingMode::Exact,
        Some(SharingModeSpec::Leased) => SharingMode::Leased,
    };
    Some(Sharing { store: store.as_str().into(), mode })
}

fn servers(spec: &Spanned<RedisSpec>, scope: &mut Scope<'_>) -> Servers {
    let RedisSpec { address, sentinel, cluster, .. } = &spec.value;
    let written = [
        address.as_ref().map(|address| ("address", address.span)),
        sentinel.as_ref().map(|sentinel| ("sentinel", sentinel.span)),
        cluster.as_ref().map(|cluster| ("cluster", cluster.span)),
    ];
    let mut written = written.into_iter().flatten();
    if let (Some((one, at)), Some((other, also))) = (written.next(), written.next()) {
        let message = format!("a store has either `{one}` or `{other}`, not both");
        scope.fault(also, message).also = Some((at, format!("`{one}` is here")));
    }
    if let Some(sentinel) = sentinel {
        return self::sentinel(&sentinel.value, scope);
    }
    if let Some(cluster) = cluster {
        return Servers::Cluster(addresses(cluster, "cluster", scope));
    }
    if let Some(written) = address {
        return Servers::Single(address::endpoint(written, scope));
    }
    if !scope.incomplete {
        let message = format!("the store `{}` is nowhere", scope.name);
        scope.fault(spec.span, message).label =
            "needs one of `address`, `sentinel`, `cluster`".into();
    }
    Servers::Cluster(Vec::new())
}

fn sentinel(spec: &SentinelSpec, scope: &mut Scope<'_>) -> Servers {
    let primary = spec.primary.as_str();
    if primary.is_empty() || !primary.bytes().all(|byte| byte.is_ascii_graphic()) {
        let shown = spec.primary.shown();
        scope.fault(spec.primary.span, format!("{shown} is no name of a primary"));
    }
    Servers::Sentinel {
        addresses: addresses(&spec.addresses, "sentinel", scope),
        primary: primary.into(),
        login: login(spec.username.as_ref(), spec.password.as_ref(), scope),
        tls: spec.tls.as_ref().map(|spec| tls::store(spec, scope)),
    }
}

/// Addresses of servers that tell of others, which they do by host and port.
fn addresses(
    written: &Spanned<Vec<Spanned<String>>>,
    what: &str,
    scope: &mut Scope<'_>,
) -> Vec<Address> {
    if written.value.is_empty() && !scope.incomplete {
        scope.fault(written.span, format!("`{what}` needs at least one address"));
    }
    let mut addresses = Vec::new();
    for item in &written.value {
        let address = address::endpoint(item, scope);
        if item.as_str().starts_with("unix:") {
            scope.fault(item.span, format!("a {what} has no Unix socket")).label =
                "expected `HOST:PORT` or `IP:PORT`".into();
        }
        addresses.push(address);
    }
    addresses
}

fn login(
    username: Option<&Spanned<String>>,
    password: Option<&Spanned<String>>,
    scope: &mut Scope<'_>,
) -> Login {
    if let (Some(username), None) = (username, password)
        && !scope.incomplete
    {
        scope.fault(username.span, "a user without a password").label =
            "add `password` beside it".into();
    }
    if let Some(password) = password.filter(|password| password.as_str().is_empty()) {
        scope.fault(password.span, "an empty password is none");
    }
    Login {
        username: username.map(|name| name.as_str().into()),
        password: password.map(|password| Secret::new(password.as_str())),
    }
}

fn database(spec: &RedisSpec, scope: &mut Scope<'_>) -> u32 {
    let Some(written) = &spec.database else { return 0 };
    if let Some(cluster) = spec.cluster.as_ref().filter(|_| written.value > 0) {
        scope.fault(written.span, "a cluster has one database, 0").also =
            Some((cluster.span, "`cluster` is here".into()));
    } else if written.value > MOST_DATABASES {
        scope.fault(written.span, "this is no number of a database");
    }
    written.value
}

fn prefix(written: Option<&Spanned<String>>, scope: &mut Scope<'_>) -> Name {
    let Some(written) = written else { return "portcullis".into() };
    let text = written.as_str();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if !(1..=LONGEST_PREFIX).contains(&text.len()) || !text.bytes().all(is_plain) {
        let shown = written.shown();
        scope.fault(written.span, format!("{shown} is no prefix of keys")).label =
            "expected up to 64 letters, digits, `-`, `_`, `.` and `:`".into();
    }
    text.into()
}
