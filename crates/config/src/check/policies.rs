//! Policies: every one for itself, and what holds between those of one list.

mod access;
mod authentication;
mod browser;
mod ext_authz;
mod keys;
mod overlap;
mod rego;
mod security_headers;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::{Scope, store};
use crate::model::{
    Algorithm, Concurrency, Cost, CountBy, OnLimit, PathPattern, Period, Policies, Policy, Quota,
    RateLimit, ReplyFields, Rule, Sharing, SharingMode,
};
use crate::node::Span;
use crate::raw::{
    AlgorithmSpec, ConcurrencySpec, CostSpec, OnLimitSpec, PeriodSpec, PolicySpec, QuotaSpec,
    RateLimitSpec, ReplyFieldsSpec, SharingModeSpec, Spanned, Time,
};

pub(crate) use keys::KEY_WORDS;
pub(super) use keys::field_name;

/// The longest stretch of time of a rate limit.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// The shortest.
const SHORTEST: Duration = Duration::from_millis(1);
/// The most time that a bucket may need to fill.
const SLOWEST: Duration = Duration::from_secs(10 * 366 * 86_400);
/// The most requests at once, and the most that wait.
const MOST_AT_ONCE: u32 = 1_000_000;
const MOST_WAITING: u32 = 100_000;

/// The policies of a list. `paths` are those of the route that it belongs to, if it does.
pub(crate) fn policies(
    written: &[Spanned<PolicySpec>],
    paths: Option<&[PathPattern]>,
    scope: &mut Scope<'_>,
) -> Arc<Policies> {
    let mut policies = Policies::default();
    let mut limits: Vec<(Policy, Span)> = Vec::new();
    policies.authentication = authentication::authentication(written, scope);
    let mut seen: Vec<(&str, Span)> = Vec::new();
    let mut rules: Vec<(Rule, Span)> = Vec::new();
    let others = written.iter().enumerate().filter(|(_, item)| !authentication::is(item));
    for (place, item) in others {
        let faults = scope.findings.len();
        let Some((kind, at)) = kind(item, scope) else { continue };
        let spec = &item.value;
        let policy = if let Some(spec) = &spec.rate_limit {
            Policy::RateLimit(Arc::new(rate_limit(&spec.value, paths, scope)))
        } else if let Some(spec) = &spec.quota {
            Policy::Quota(Arc::new(quota(&spec.value, paths, scope)))
        } else if let Some(spec) = &spec.concurrency {
            Policy::Concurrency(Arc::new(concurrency(&spec.value, paths, scope)))
        } else if let Some(rule) = rule(spec, scope) {
            add_rule(rule, item.span, &mut rules, scope);
            continue;
        } else {
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == kind) {
                let fault = scope.fault(at, format!("`{kind}` is here twice"));
                fault.also = Some((*first, "first here".into()));
            }
            if spec.cel.is_none() && spec.rego.is_none() {
                seen.push((kind, at));
            }
            only_one(spec, &mut policies, scope);
            continue;
        };
        let same = |(other, _): &&(Policy, Span)| {
            other.kind() == policy.kind() && other.name() == policy.name()
        };
        if let Some((_, first)) = limits.iter().find(same) {
            let fault =
                scope.fault(item.span, format!("the {kind} `{}` is here twice", policy.name()));
            fault.also = Some((*first, "first here".into()));
            fault.help = Some("give each its own `name`".into());
        } else if scope.findings.len() == faults {
            overlap::check(&limits, &policy, item.span, scope);
        }
        limits.push((policy, item.span));
        policies.limit_places.push(place);
    }
    policies.rules = rules.into_iter().map(|(rule, _)| rule).collect();
    policies.limits = limits.into_iter().map(|(policy, _)| policy).collect();
    // Most places have none: these share one.
    static NONE: LazyLock<Arc<Policies>> = LazyLock::new(Arc::default);
    if policies == **NONE { Arc::clone(&NONE) } else { Arc::new(policies) }
}

fn rule(spec: &PolicySpec, scope: &mut Scope<'_>) -> Option<Rule> {
    let access = spec.access.as_ref().map(|spec| access::access(spec, scope));
    let rule = access.or_else(|| access::cel(spec.cel.as_ref()?, scope));
    let rule = rule.or_else(|| rego::rego(spec.rego.as_ref()?, scope));
    rule.or_else(|| Some(ext_authz::ext_authz(spec.ext_authz.as_ref()?, scope)))
}

fn add_rule(rule: Rule, at: Span, rules: &mut Vec<(Rule, Span)>, scope: &mut Scope<'_>) {
    let same =
        |(other, _): &&(Rule, Span)| (other.kind(), other.name()) == (rule.kind(), rule.name());
    if let Some((_, first)) = rules.iter().find(same) {
        let message = format!("the {} rule `{}` is here twice", rule.kind(), rule.name());
        let fault = scope.fault(at, message);
        fault.also = Some((*first, "first here".into()));
        fault.help = Some("give each its own `name`".into());
    }
    rules.push((rule, at));
}

/// Puts a policy in its place of which a scope has one at most.
fn only_one(spec: &PolicySpec, policies: &mut Policies, scope: &mut Scope<'_>) {
    if let Some(spec) = &spec.cors {
        policies.cors = browser::cors(&spec.value, scope);
    }
    if let Some(spec) = &spec.csrf {
        policies.csrf = browser::csrf(&spec.value, scope);
    }
    if let Some(spec) = &spec.security_headers {
        policies.security_headers = security_headers::security_headers(&spec.value, scope);
    }
}

/// Which one it is, and where that is written.
fn kind(item: &Spanned<PolicySpec>, scope: &mut Scope<'_>) -> Option<(&'static str, Span)> {
    fn at<T>(spec: &Option<Spanned<T>>) -> Option<Span> {
        spec.as_ref().map(|spec| spec.span)
    }
    let spec = &item.value;
    let PolicySpec { cors, csrf, security_headers, rate_limit, quota, concurrency, .. } = spec;
    let kinds = [
        ("cors", at(cors)),
        ("csrf", at(csrf)),
        ("security_headers", at(security_headers)),
        ("access", at(&spec.access)),
        ("cel", at(&spec.cel)),
        ("rego", at(&spec.rego)),
        ("ext_authz", spec.ext_authz.as_ref().map(|spec| spec.span)),
        ("rate_limit", at(rate_limit)),
        ("quota", at(quota)),
        ("concurrency", at(concurrency)),
    ];
    let mut given = kinds.iter().filter_map(|(name, span)| Some((*name, (*span)?)));
    let first = given.next();
    match (first, given.next()) {
        (None, _) => {
            if !scope.incomplete {
                let names = kinds.map(|(name, _)| format!("`{name}`")).join(", ");
                let callers = authentication::KINDS.map(|name| format!("`{name}`")).join(", ");
                scope.fault(item.span, "this is no policy").label =
                    format!("expected one of {names}, {callers}");
            }
        }
        (Some((one, at)), Some((other, also))) => {
            let fault = scope.fault(also, format!("`{one}` and `{other}` are two policies"));
            fault.also = Some((at, format!("`{one}` is here")));
            fault.help = Some("begin each with its own `-`".into());
        }
        (Some(_), None) => {}
    }
    first
}

fn rate_limit(
    spec: &RateLimitSpec,
    paths: Option<&[PathPattern]>,
    scope: &mut Scope<'_>,
) -> RateLimit {
    let most = RateLimit::MOST;
    let limit = within(&spec.limit, u64::from(most), "lets nobody pass", scope) as u32;
    let per = stretch(&spec.per, &spec.limit, limit, scope);
    let algorithm = algorithm(spec, limit, per, scope);
    let capacity = match algorithm {
        Algorithm::TokenBucket { burst } => burst,
        Algorithm::SlidingWindow => limit,
    };
    let sharing = sharing(spec, scope);
    RateLimit {
        name: keys::name(spec.name.as_ref(), "rate_limit", scope),
        by: count_by(&spec.by, spec.missing, spec.keys.as_ref(), paths, scope),
        algorithm,
        limit,
        per,
        cost: cost(spec.cost.as_ref(), u64::from(capacity), sharing.as_ref(), scope),
        on_limit: on_limit(spec, scope),
        sharing,
        fields: fields(spec.headers),
    }
}

/// The stretch of time in which so many may come.
pub(super) fn stretch(
    written: &Spanned<Time>,
    limit_written: &Spanned<u32>,
    limit: u32,
    scope: &mut Scope<'_>,
) -> Duration {
    let per = scope.time(Some(written), written.value.0);
    if !per.is_zero() && !(SHORTEST..=LONGEST).contains(&per) {
        scope.fault(written.span, "a rate limit counts over `1ms` to `31d`").help =
            Some("a `quota` counts over a month of the calendar".into());
    } else if per.as_nanos() / u128::from(limit) < 1_000 && !per.is_zero() {
        scope.fault(limit_written.span, "more than a million requests a second is no limit");
    }
    per
}

fn algorithm(spec: &RateLimitSpec, limit: u32, per: Duration, scope: &mut Scope<'_>) -> Algorithm {
    if spec.algorithm == Some(AlgorithmSpec::SlidingWindow) {
        if let Some(burst) = &spec.burst {
            scope.fault(burst.span, "a sliding window has no `burst`").label =
                "only with `token_bucket`".into();
        }
        return Algorithm::SlidingWindow;
    }
    Algorithm::TokenBucket { burst: bucket(spec.burst.as_ref(), limit, per, scope) }
}

/// How much a bucket holds.
pub(super) fn bucket(
    written: Option<&Spanned<u32>>,
    limit: u32,
    per: Duration,
    scope: &mut Scope<'_>,
) -> u32 {
    let Some(written) = written else { return limit };
    let burst = within(written, u64::from(RateLimit::MOST), "lets nobody pass", scope) as u32;
    if per.as_nanos() * u128::from(burst) / u128::from(limit) > SLOWEST.as_nanos() {
        scope.fault(written.span, "this bucket would need more than ten years to fill");
    }
    burst
}

fn on_limit(spec: &RateLimitSpec, scope: &mut Scope<'_>) -> OnLimit {
    let delays = spec.on_limit.as_ref().filter(|written| written.value == OnLimitSpec::Delay);
    let Some(written) = delays else {
        let places =
            [spec.max_delay.as_ref().map(|s| s.span), spec.waiters.as_ref().map(|s| s.span)];
        for at in places.into_iter().flatten() {
            scope.fault(at, "nothing waits here").label = "only with `on_limit: delay`".into();
        }
        return OnLimit::Refuse;
    };
    if spec.algorithm == Some(AlgorithmSpec::SlidingWindow) {
        scope.fault(written.span, "a sliding window does not know when there will be room").help =
            Some("`delay` goes with `algorithm: token_bucket`".into());
    }
    let waiters = spec
        .waiters
        .as_ref()
        .map_or(1000, |written| within(written, MOST_WAITING.into(), "lets nobody wait", scope));
    let max_delay = scope.time(spec.max_delay.as_ref(), Duration::from_secs(1));
    if let Some(written) = spec.max_delay.as_ref().filter(|_| max_delay > LONGEST) {
        scope.fault(written.span, "nobody waits that long");
    }
    OnLimit::Delay { max_delay, waiters: waiters as u32 }
}

/// A share that is taken ahead does not know whose turn it is.
fn sharing(spec: &RateLimitSpec, scope: &mut Scope<'_>) -> Option<Sharing> {
    let sharing = store::sharing(spec.store.as_ref(), spec.mode.as_ref(), scope);
    let delays = spec.on_limit.as_ref().filter(|written| written.value == OnLimitSpec::Delay);
    if let (Some(mode), Some(delays)) = (&spec.mode, delays)
        && mode.value == SharingModeSpec::Leased
    {
        let fault = scope.fault(mode.span, "with `leased` no request can wait for its turn");
        fault.also = Some((delays.span, "`delay` is here".into()));
        fault.help = Some("`delay` goes with `mode: exact`".into());
    }
    sharing
}

fn quota(spec: &QuotaSpec, paths: Option<&[PathPattern]>, scope: &mut Scope<'_>) -> Quota {
    let limit = within(&spec.limit, Quota::MOST, "lets nobody pass", scope);
    let zone = spec.time_zone.as_ref().map_or("UTC", |written| written.as_str());
    if let Some(written) = &spec.time_zone
        && jiff::tz::TimeZone::get(zone).is_err()
    {
        let shown = written.shown();
        scope.fault(written.span, format!("there is no time zone {shown}")).label =
            "expected an IANA name such as `Europe/Berlin`".into();
    }
    let sharing = store::sharing(spec.store.as_ref(), spec.mode.as_ref(), scope);
    Quota {
        name: keys::name(spec.name.as_ref(), "quota", scope),
        by: count_by(&spec.by, spec.missing, spec.keys.as_ref(), paths, scope),
        limit,
        per: match spec.per.value {
            PeriodSpec::Hour => Period::Hour,
            PeriodSpec::Day => Period::Day,
            PeriodSpec::Month => Period::Month,
        },
        time_zone: zone.into(),
        cost: cost(spec.cost.as_ref(), limit, sharing.as_ref(), scope),
        sharing,
        fields: fields(spec.headers),
    }
}

fn concurrency(
    spec: &ConcurrencySpec,
    paths: Option<&[PathPattern]>,
    scope: &mut Scope<'_>,
) -> Concurrency {
    let queue = spec.queue.as_ref().map_or(0, |written| written.value);
    if let Some(written) = spec.queue.as_ref().filter(|_| queue > MOST_WAITING) {
        scope.fault(written.span, format!("at most {MOST_WAITING} wait"));
    }
    if let Some(written) = spec.wait.as_ref().filter(|_| queue == 0) {
        scope.fault(written.span, "nothing waits here").label = "only with a `queue`".into();
    }
    Concurrency {
        name: keys::name(spec.name.as_ref(), "concurrency", scope),
        by: count_by(&spec.by, spec.missing, spec.keys.as_ref(), paths, scope),
        limit: within(&spec.limit, MOST_AT_ONCE.into(), "lets nobody pass", scope) as u32,
        queue,
        wait: scope.time(spec.wait.as_ref(), Duration::from_secs(1)),
        fields: fields(spec.headers),
    }
}

/// A number from 1 to `most`; 1 if it is not.
pub(super) fn within<N: Copy + Into<u64>>(
    written: &Spanned<N>,
    most: u64,
    none: &str,
    scope: &mut Scope<'_>,
) -> u64 {
    let value = written.value.into();
    if value == 0 {
        scope.fault(written.span, format!("a limit of zero {none}")).label =
            "expected at least 1".into();
    } else if value > most {
        scope.fault(written.span, format!("at most {most}"));
    }
    value.clamp(1, most)
}

fn cost(
    written: Option<&Spanned<CostSpec>>,
    capacity: u64,
    sharing: Option<&Sharing>,
    scope: &mut Scope<'_>,
) -> Cost {
    let Some(written) = written else { return Cost::Fixed(1) };
    let leased = sharing.is_some_and(|sharing| sharing.mode == SharingMode::Leased);
    let most = if leased { Sharing::MOST_LEASED } else { u32::MAX };
    let mut bounded = |value: u64, at: Span| {
        if value == 0 {
            scope.fault(at, "what costs nothing is not counted").label =
                "expected at least 1".into();
        } else if value > capacity {
            scope.fault(at, format!("a request of this cost never passes: at most {capacity} do"));
        } else if value > u64::from(most) {
            let with = if leased { "with `leased` " } else { "" };
            scope.fault(at, format!("{with}no request costs more than {most}")).help =
                Some("count in larger units".into());
        }
        value.clamp(1, capacity.min(u64::from(most)).max(1)) as u32
    };
    match &written.value {
        CostSpec::Fixed(cost) => Cost::Fixed(bounded(*cost, written.span)),
        CostSpec::Header(spec) => {
            let max = bounded(u64::from(spec.max.value), spec.max.span);
            let otherwise = spec
                .default
                .as_ref()
                .map_or(1, |default| bounded(u64::from(default.value), default.span));
            if let Some(default) = spec.default.as_ref().filter(|_| otherwise > max) {
                scope.fault(default.span, "the default is above `max`").also =
                    Some((spec.max.span, "`max` is here".into()));
            }
            Cost::Header { name: field_name(&spec.header, scope), otherwise, max }
        }
    }
}

fn fields(written: Option<ReplyFieldsSpec>) -> ReplyFields {
    let (standard, x) = match written.unwrap_or(ReplyFieldsSpec::Standard) {
        ReplyFieldsSpec::Standard => (true, false),
        ReplyFieldsSpec::X => (false, true),
        ReplyFieldsSpec::Both => (true, true),
        ReplyFieldsSpec::Off => (false, false),
    };
    ReplyFields { standard, x }
}

fn count_by(
    by: &Option<crate::raw::OneOrMany<Spanned<crate::raw::KeyPartSpec>>>,
    missing: Option<crate::raw::MissingSpec>,
    keys: Option<&Spanned<u32>>,
    paths: Option<&[PathPattern]>,
    scope: &mut Scope<'_>,
) -> CountBy {
    let parts = by.as_ref().map_or(&[][..], |parts| &parts.0);
    keys::count_by(parts, missing, keys, paths, scope)
}
