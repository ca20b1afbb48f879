//! Reads the page back with a small strict parser that also holds it to the rules by which
//! `promtool check metrics` judges names.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portcullis_core::health::{CheckResult, EjectionCause, HealthMetrics};

use super::*;
use portcullis_core::metrics::{
    EndpointMetrics, RetryCause, ServiceMetrics, StickyMetrics, StickyResult,
};
use portcullis_core::{AuthzCounts, AuthzResult, Reason};

/// A series: its name and its labels in order.
type Series = (String, Vec<(String, String)>);

struct Parsed {
    /// Type by name of the family.
    families: BTreeMap<String, String>,
    samples: BTreeMap<Series, f64>,
}

impl Parsed {
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels = labels.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        self.samples.get(&(name.to_string(), labels)).copied()
    }

    fn routes(&self) -> BTreeSet<&str> {
        let labels = self.samples.keys().flat_map(|(_, labels)| labels);
        labels.filter(|(name, _)| name == "route").map(|(_, value)| value.as_str()).collect()
    }
}

fn parse(page: &str) -> Parsed {
    assert!(page.ends_with('\n'));
    let mut parsed = Parsed { families: BTreeMap::new(), samples: BTreeMap::new() };
    let (mut family, mut kind) = (String::new(), String::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(head) = line.strip_prefix("# HELP ") {
            let (name, help) = head.split_once(' ').expect("help text");
            let of_type = lines.next().and_then(|line| line.strip_prefix("# TYPE "));
            let (typed, of_type) =
                of_type.and_then(|t| t.split_once(' ')).expect("TYPE behind HELP");
            assert_eq!(name, typed);
            assert!(!help.is_empty() && !help.contains('\\'));
            lint(name, of_type);
            (family, kind) = (name.to_string(), of_type.to_string());
            assert!(parsed.families.insert(family.clone(), kind.clone()).is_none(), "{name} twice");
            continue;
        }
        let (series, value) = sample(line);
        let suffixes: &[&str] =
            if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        assert!(
            suffixes.iter().any(|suffix| series.0 == format!("{family}{suffix}")),
            "{line} stands in {family}"
        );
        assert!(parsed.samples.insert(series, value).is_none(), "{line} twice");
    }
    parsed
}

fn lint(name: &str, kind: &str) {
    const UNITS: [&str; 9] = ["ms", "us", "ns", "s", "sec", "b", "kb", "milliseconds", "kilobytes"];
    // A digit is a word's last, as in `http2`, and never its first.
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    assert!(name.bytes().all(legal), "{name}");
    assert!(
        name.split('_').all(|word| word.starts_with(|c: char| c.is_ascii_lowercase())),
        "{name}"
    );
    assert!(["counter", "gauge", "histogram"].contains(&kind), "{kind}");
    assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
    assert!(!["_count", "_sum", "_bucket"].iter().any(|suffix| name.ends_with(suffix)), "{name}");
    assert!(name.split('_').all(|word| !UNITS.contains(&word) && word != kind), "{name}");
    assert!(name.starts_with("portcullis_") || name.starts_with("process_"), "{name}");
}

fn sample(line: &str) -> (Series, f64) {
    let name_end = line.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').expect("a value");
    let (name, mut rest) = line.split_at(name_end);
    let mut labels: Vec<(String, String)> = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").expect("a label");
            assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
            assert!(labels.iter().all(|(other, _)| other != label), "{line}");
            let (value, after) = label_value(after);
            labels.push((label.to_string(), value));
            if let Some(end) = after.strip_prefix('}') {
                rest = end;
                break;
            }
            rest = after.strip_prefix(',').expect("a comma");
        }
    }
    let value = rest.strip_prefix(' ').expect("one blank");
    assert!(value.bytes().all(|b| b.is_ascii_digit() || b == b'.'), "{line}");
    ((name.to_string(), labels), value.parse().expect("a number"))
}

fn label_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next().expect("a closing quote") {
            '"' => return (value, chars.as_str()),
            '\\' => value.push(match chars.next() {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                other => panic!("escape {other:?}"),
            }),
            c => value.push(c),
        }
    }
}

fn expires() -> Expires<'static> {
    Expires {
        owner: "listener",
        name: "web",
        kind: "certificate",
        file: "/a.pem",
        at: 1_800_000_000,
    }
}

#[test]
fn files_of_tls_tell_when_they_end() {
    let mut page = String::new();
    let expiries = vec![expires()];
    Scrape {
        workers: &[],
        routes: Vec::new(),
        tcp_routes: Vec::new(),
        policies: PolicyFacts::default(),
        stores: Vec::new(),
        issuers: Vec::new(),
        expiries,
        services: Vec::new(),
        process: facts(),
    }
    .render(&mut page);
    let line = "portcullis_tls_expiry_timestamp_seconds{listener=\"web\",kind=\"certificate\",file=\"/a.pem\"} 1800000000\n";
    assert!(page.contains(line), "{page}");
}

#[test]
fn endpoints_tell_what_they_get() {
    let (metrics, sticky) = (EndpointMetrics::new(2), StickyMetrics::new(2));
    metrics.shard(0).requests.add(3);
    metrics.shard(1).requests.add(4);
    metrics.shard(1).active.add(2);
    sticky.shard(1).0[StickyResult::Lost as usize].add(5);
    let endpoint =
        EndpointScrape { endpoint: "a:1", available: true, share: 0.25, metrics: &metrics };
    let counted = ServiceMetrics::new(2);
    counted.shard(0).retries[RetryCause::Reset as usize].add(3);
    counted.shard(1).retries[RetryCause::Reset as usize].add(1);
    counted.shard(1).active.add(9);
    counted.shard(0).shed[1].add(2);
    counted.shard(1).adaptive_limit.set(40);
    let health = HealthMetrics::default();
    health.checks[CheckResult::Status as usize].add(6);
    health.ejections[EjectionCause::SuccessRate as usize].add(2);
    let service = ServiceScrape {
        health: HealthScrape { metrics: &health, checked: true, ejected: Some(1) },
        name: "users",
        panicking: true,
        views: 7,
        sticky: Some(&sticky),
        adapts: true,
        metrics: &counted,
        breaker: Some((2, 8)),
        token: Some(TokenScrape { left: Some(50), granted: 3, failed: 1, rejected: 2 }),
        endpoints: vec![endpoint],
    };
    let mut page = String::new();
    let scrape = Scrape {
        workers: &[],
        routes: Vec::new(),
        tcp_routes: Vec::new(),
        stores: Vec::new(),
        issuers: Vec::new(),
        policies: PolicyFacts::default(),
        expiries: Vec::new(),
        services: vec![service],
        process: facts(),
    };
    scrape.render(&mut page);
    for line in [
        "portcullis_endpoint_requests_total{service=\"users\",endpoint=\"a:1\"} 7\n",
        "portcullis_endpoint_requests_active{service=\"users\",endpoint=\"a:1\"} 2\n",
        "portcullis_service_requests_active{service=\"users\"} 9\n",
        "portcullis_shed_requests_total{cause=\"lag\",importance=\"low\"} 0\n",
        "portcullis_shed_requests_total{cause=\"limit\",importance=\"normal\",service=\"users\"} 2\n",
        "portcullis_service_adaptive_limit{service=\"users\"} 40\n",
        "portcullis_retries_total{service=\"users\",cause=\"reset\"} 4\n",
        "portcullis_breaker_state{service=\"users\"} 2\n",
        "portcullis_breaker_trips_total{service=\"users\"} 8\n",
        "portcullis_upstream_token_left_seconds{service=\"users\"} 50\n",
        "portcullis_upstream_token_fetches_total{service=\"users\",result=\"failed\"} 1\n",
        "portcullis_upstream_token_rejected_total{service=\"users\"} 2\n",
        "portcullis_endpoint_available{service=\"users\",endpoint=\"a:1\"} 1\n",
        "portcullis_endpoint_share{service=\"users\",endpoint=\"a:1\"} 0.25\n",
        "portcullis_health_checks_total{service=\"users\",result=\"status\"} 6\n",
        "portcullis_endpoints_ejected{service=\"users\"} 1\n",
        "portcullis_endpoint_ejections_total{service=\"users\",cause=\"success_rate\"} 2\n",
        "portcullis_service_panicking{service=\"users\"} 1\n",
        "portcullis_service_views_total{service=\"users\"} 7\n",
        "portcullis_sticky_requests_total{service=\"users\",result=\"lost\"} 5\n",
    ] {
        assert!(page.contains(line), "{line}{page}");
    }
}

fn facts() -> ProcessFacts<'static> {
    ProcessFacts {
        version: "1.2.3",
        started: UNIX_EPOCH + Duration::from_millis(1_700_000_000_500),
        config_revision: 4,
        last_reload_success: false,
        last_reload: UNIX_EPOCH + Duration::from_secs(1_700_000_100),
        reloads_ok: 3,
        reloads_failed: 2,
        listeners: 1,
        routes_configured: 7,
        tcp_routes_configured: 0,
        services_configured: 5,
        log_lines_unwritten: 11,
    }
}

fn policies() -> PolicyFacts<'static> {
    PolicyFacts::default()
}

fn page(workers: &[Arc<WorkerMetrics>], routes: Vec<(&str, &RouteMetrics)>) -> Parsed {
    let mut out = String::new();
    Scrape {
        workers,
        routes,
        tcp_routes: Vec::new(),
        services: Vec::new(),
        policies: policies(),
        stores: Vec::new(),
        issuers: Vec::new(),
        expiries: vec![expires()],
        process: facts(),
    }
    .render(&mut out);
    parse(&out)
}

#[test]
fn an_idle_gateway_has_a_page_with_every_family() {
    let page = page(&[], Vec::new());
    for name in ["portcullis_requests_total", "portcullis_failures_total", "process_open_fds"] {
        assert!(page.families.contains_key(name), "{name}");
    }
    assert_eq!(page.value("portcullis_build_info", &[("version", "1.2.3")]), Some(1.0));
    assert_eq!(page.value("portcullis_config_revision", &[]), Some(4.0));
    assert_eq!(page.value("portcullis_config_last_reload_successful", &[]), Some(0.0));
    assert_eq!(page.value("portcullis_config_reloads_total", &[("outcome", "applied")]), Some(3.0));
    assert_eq!(page.value("portcullis_config_reloads_total", &[("outcome", "refused")]), Some(2.0));
    assert_eq!(page.value("process_start_time_seconds", &[]), Some(1_700_000_000.5));
    assert!(page.value("process_resident_memory_bytes", &[]).is_some_and(|bytes| bytes > 0.0));
}

#[test]
fn the_counts_of_workers_are_added() {
    let workers = [Arc::new(WorkerMetrics::default()), Arc::new(WorkerMetrics::default())];
    for worker in &workers {
        worker.connections.add(10);
        worker.connections_open.add(4);
        worker.log_dropped.add(2);
        worker.failures[Reason::ConnectTimeout.index()].add(1);
        worker.http2_stream_errors[1].add(3);
        worker.http2_connection_errors[HTTP2_ERRORS.len() - 1].add(1);
        worker.http2_floods[2].add(1);
    }
    workers[1].connections_open.sub(3);

    let page = page(&workers, Vec::new());
    assert_eq!(page.value("portcullis_workers", &[]), Some(2.0));
    assert_eq!(page.value("portcullis_connections_total", &[]), Some(20.0));
    assert_eq!(page.value("portcullis_connections_open", &[]), Some(5.0));
    let lost = |cause| page.value("portcullis_access_log_lost_lines_total", &[("cause", cause)]);
    assert_eq!((lost("queue_full"), lost("write_failed")), (Some(4.0), Some(11.0)));
    for reason in REASONS {
        let expected = if reason == Reason::ConnectTimeout { 2.0 } else { 0.0 };
        let value = page.value("portcullis_failures_total", &[("reason", reason.code())]);
        assert_eq!(value, Some(expected), "{}", reason.code());
    }
    for code in HTTP2_ERRORS {
        let told = |scope| {
            let labels = [("scope", scope), ("code", code)];
            page.value("portcullis_http2_errors_total", &labels)
        };
        let expected = match code {
            "protocol_error" => (6.0, 0.0),
            "other" => (0.0, 2.0),
            _ => (0.0, 0.0),
        };
        let (streams, connections) = (told("stream"), told("connection"));
        assert_eq!((streams, connections), (Some(expected.0), Some(expected.1)), "{code}");
    }
    for kind in HTTP2_FLOODS {
        let expected = if kind == "continuations" { 2.0 } else { 0.0 };
        let value = page.value("portcullis_http2_floods_total", &[("kind", kind)]);
        assert_eq!(value, Some(expected), "{kind}");
    }
}

#[test]
fn a_gauge_whose_shards_went_past_each_other_still_adds_up() {
    // A connection may be counted on one shard and taken off on another.
    let workers = [Arc::new(WorkerMetrics::default()), Arc::new(WorkerMetrics::default())];
    workers[0].upstream_idle.add(1);
    workers[1].upstream_idle.sub(1);
    assert_eq!(
        page(&workers, Vec::new()).value("portcullis_upstream_connections_idle", &[]),
        Some(0.0)
    );
}

#[test]
fn a_route_is_summed_over_its_shards_and_its_histogram_is_cumulative() {
    let metrics = RouteMetrics::new(3);
    for (worker, micros) in [(0, 500), (2, 501), (2, 60_000_000)] {
        let shard = metrics.shard(worker);
        shard.by_class[2].add(1);
        shard.durations.record(Duration::from_micros(micros));
        shard.bytes_in.add(5);
        shard.bytes_out.add(7);
    }
    let page = page(&[], vec![("users", &metrics)]);
    let route = ("route", "users");

    assert_eq!(page.value("portcullis_requests_total", &[route, ("class", "2xx")]), Some(3.0));
    assert_eq!(page.value("portcullis_requests_total", &[route, ("class", "5xx")]), Some(0.0));
    assert_eq!(page.value("portcullis_requests_total", &[route, ("class", "none")]), None);
    assert_eq!(page.value("portcullis_request_content_bytes_total", &[route]), Some(15.0));
    assert_eq!(page.value("portcullis_response_content_bytes_total", &[route]), Some(21.0));

    let name = "portcullis_request_duration_seconds";
    let bucket = |le: &str| page.value(&format!("{name}_bucket"), &[route, ("le", le)]);
    assert_eq!(bucket("0.0005"), Some(1.0));
    assert_eq!(bucket("0.001"), Some(2.0));
    assert_eq!(bucket("10"), Some(2.0));
    assert_eq!(bucket("+Inf"), Some(3.0));
    assert_eq!(page.value(&format!("{name}_count"), &[route]), Some(3.0));
    assert_eq!(page.value(&format!("{name}_sum"), &[route]), Some(60.001_001));
}

#[test]
fn a_route_that_nobody_used_is_left_out() {
    let (used, unused) = (RouteMetrics::new(1), RouteMetrics::new(1));
    used.shard(0).by_class[0].add(1);
    let page = page(&[], vec![("used", &used), ("unused", &unused)]);
    assert_eq!(page.routes(), BTreeSet::from(["used"]));
    let none = [("route", "used"), ("class", "none")];
    assert_eq!(page.value("portcullis_requests_total", &none), Some(1.0));
}

#[test]
fn names_with_reserved_characters_come_back_whole() {
    let hostile = "a\\\"b\"\n\\n{}é,x=\"\\";
    let metrics = RouteMetrics::new(1);
    metrics.shard(0);
    let page = page(&[], vec![(hostile, &metrics)]);
    assert_eq!(page.routes(), BTreeSet::from([hostile]));
}

#[test]
fn the_page_is_appended() {
    let mut out = String::from("before\n");
    Scrape {
        workers: &[],
        routes: Vec::new(),
        tcp_routes: Vec::new(),
        services: Vec::new(),
        policies: policies(),
        stores: Vec::new(),
        issuers: Vec::new(),
        expiries: Vec::new(),
        process: facts(),
    }
    .render(&mut out);
    assert!(out.starts_with("before\n# HELP portcullis_requests_total "));
}

#[test]
fn policies_are_told_apart_by_scope_kind_and_name() {
    let metrics = portcullis_core::metrics::PolicyMetrics::new(2);
    metrics.shard(0).allowed.add(3);
    metrics.shard(1).allowed.add(4);
    metrics.shard(1).refused.add(2);
    let fact = PolicyFact {
        scope: "route/users".to_owned(),
        kind: "rate_limit",
        name: "per-client",
        metrics: &metrics,
        slots: 16,
        used: 5,
        evicted: 1,
        waiting: 0,
    };
    let counts = AuthzCounts::default();
    counts.called(AuthzResult::Denied, Duration::from_millis(1500));
    counts.add(AuthzResult::Remembered);
    let asked = AuthzFact { scope: "global".to_owned(), name: "ask", counts: &counts };
    let policies = PolicyFacts {
        policies: vec![fact],
        judged: Vec::new(),
        externals: vec![asked],
        store_errors: 7,
        logins: None,
    };
    let mut out = String::new();
    let (routes, tcp_routes, expiries) = (Vec::new(), Vec::new(), Vec::new());
    Scrape {
        workers: &[],
        routes,
        tcp_routes,
        policies,
        stores: Vec::new(),
        issuers: Vec::new(),
        expiries,
        services: Vec::new(),
        process: facts(),
    }
    .render(&mut out);
    let page = parse(&out);
    let labels = |outcome: Option<&'static str>| {
        let of = [("scope", "route/users"), ("kind", "rate_limit"), ("policy", "per-client")];
        of.into_iter().chain(outcome.map(|outcome| ("outcome", outcome))).collect::<Vec<_>>()
    };
    let requests = |outcome| page.value("portcullis_policy_requests_total", &labels(Some(outcome)));
    assert_eq!((requests("allowed"), requests("refused")), (Some(7.0), Some(2.0)));
    assert_eq!(page.value("portcullis_policy_keys", &labels(None)), Some(5.0));
    assert_eq!(page.value("portcullis_policy_evictions_total", &labels(None)), Some(1.0));
    assert_eq!(page.value("portcullis_quota_store_errors_total", &[]), Some(7.0));
    let asked = |result| [("scope", "global"), ("policy", "ask"), ("result", result)];
    let answers = |result| page.value("portcullis_ext_authz_requests_total", &asked(result));
    assert_eq!((answers("denied"), answers("remembered")), (Some(1.0), Some(1.0)));
    assert_eq!(answers("failed"), Some(0.0));
    let seconds = page.value("portcullis_ext_authz_call_seconds_total", &asked("")[..2]);
    assert_eq!(seconds, Some(1.5));
}

#[test]
fn stores_tell_how_they_do() {
    let store = StoreFact {
        name: "limits",
        up: true,
        calls: vec![("ok", 3), ("timeout", 1)],
        fallbacks: vec![("open", 1)],
        latency: (&[500, 1000], vec![2, 1, 0]),
        latency_us: 1500,
        nodes: 3,
        lease_keys: 4,
        leased: 50,
        lease_calls: 6,
        lease_misses: 7,
    };
    let mut page = String::new();
    let (routes, tcp_routes, expiries) = (Vec::new(), Vec::new(), Vec::new());
    let (policies, stores) = (policies(), vec![store]);
    Scrape {
        workers: &[],
        routes,
        tcp_routes,
        policies,
        stores,
        issuers: Vec::new(),
        expiries,
        services: Vec::new(),
        process: facts(),
    }
    .render(&mut page);
    for line in [
        "portcullis_store_up{store=\"limits\"} 1",
        "portcullis_store_calls_total{store=\"limits\",result=\"timeout\"} 1",
        "portcullis_store_fallbacks_total{store=\"limits\",decision=\"open\"} 1",
        "portcullis_store_duration_seconds_bucket{store=\"limits\",le=\"0.001\"} 3",
        "portcullis_store_duration_seconds_sum{store=\"limits\"} 0.0015",
        "portcullis_store_leased{store=\"limits\"} 50",
        "portcullis_store_lease_misses_total{store=\"limits\"} 7",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in {page}");
    }
}
