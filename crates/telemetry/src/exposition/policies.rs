//! What is counted of policies.

use portcullis_core::metrics::{Counter, PolicyMetrics, PolicySeries};
use portcullis_core::{LoginCounts, LoginEvent};

use super::authz::{self, AuthzFact};
use super::page::{Kind, Page};

/// The policies in use.
#[derive(Debug, Default)]
pub struct PolicyFacts<'a> {
    /// Each of them.
    pub policies: Vec<PolicyFact<'a>>,
    /// Those that let requests pass or not, and count nothing else.
    pub judged: Vec<JudgedFact<'a>>,
    /// Those that are asked whether requests may pass.
    pub externals: Vec<AuthzFact<'a>>,
    /// How often quotas could not be written down or read.
    pub store_errors: u64,
    /// What became of logins of browsers, if there are any.
    pub logins: Option<&'a LoginCounts>,
}

/// What there is to tell about a policy.
#[derive(Debug)]
pub struct PolicyFact<'a> {
    /// Where it is written.
    pub scope: String,
    /// Its kind, as configured.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What became of requests.
    pub metrics: &'a PolicyMetrics,
    /// Keys for which it has room.
    pub slots: u64,
    /// Keys that it has, old ones included.
    pub used: u64,
    /// Keys that went although they were not old.
    pub evicted: u64,
    /// Requests that wait.
    pub waiting: u32,
}

/// What there is to tell about a policy that has no keys.
#[derive(Debug)]
pub struct JudgedFact<'a> {
    /// Where it is written.
    pub scope: String,
    /// Its kind, as configured.
    pub kind: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What became of requests.
    pub metrics: &'a PolicyMetrics,
}

impl PolicyFacts<'_> {
    pub(super) fn render(&self, page: &mut Page<'_>) {
        if let Some(logins) = self.logins {
            page.family(
                "portcullis_logins_total",
                Kind::Counter,
                "What became of logins of browsers and of their sessions.",
            );
            for event in LoginEvent::ALL {
                page.sample(&[("event", event.as_str())], logins.of(event));
            }
        }
        type Value = fn(&PolicySeries) -> &Counter;
        let outcomes: [(&str, Value); 4] = [
            ("allowed", |series| &series.allowed),
            ("delayed", |series| &series.delayed),
            ("refused", |series| &series.refused),
            ("unlimited", |series| &series.unlimited),
        ];
        page.family(
            "portcullis_policy_requests_total",
            Kind::Counter,
            "Requests by what a policy made of them; the delayed ones are among the allowed.",
        );
        for policy in &self.policies {
            for (outcome, value) in outcomes {
                let sum = policy.metrics.shards().map(|series| value(series).value()).sum();
                let [scope, kind, name] = policy.labels();
                page.sample(&[scope, kind, name, ("outcome", outcome)], sum);
            }
        }
        for policy in &self.judged {
            // Nothing is delayed, and there is no key that could be missing.
            for (outcome, value) in outcomes.into_iter().step_by(2) {
                let sum = policy.metrics.shards().map(|series| value(series).value()).sum();
                let labels = [
                    ("scope", &*policy.scope),
                    ("kind", policy.kind),
                    ("policy", policy.name),
                    ("outcome", outcome),
                ];
                page.sample(&labels, sum);
            }
        }
        let mut family = |name, kind, help, value: fn(&PolicyFact<'_>) -> u64| {
            page.family(name, kind, help);
            for policy in &self.policies {
                page.sample(&policy.labels(), value(policy));
            }
        };
        family(
            "portcullis_policy_keys",
            Kind::Gauge,
            "Keys that a policy remembers, old ones included until their place is needed.",
            |policy| policy.used,
        );
        family(
            "portcullis_policy_key_slots",
            Kind::Gauge,
            "Keys for which a policy has room.",
            |policy| policy.slots,
        );
        family(
            "portcullis_policy_evictions_total",
            Kind::Counter,
            "Keys that were forgotten before they were old, for want of room.",
            |policy| policy.evicted,
        );
        family(
            "portcullis_policy_waiting_requests",
            Kind::Gauge,
            "Requests that wait for a policy to let them pass.",
            |policy| policy.waiting.into(),
        );
        page.family(
            "portcullis_quota_store_errors_total",
            Kind::Counter,
            "Failures to write quotas down or to read them.",
        );
        page.sample(&[], self.store_errors);
        authz::render(&self.externals, page);
    }
}

impl PolicyFact<'_> {
    fn labels(&self) -> [(&str, &str); 3] {
        [("scope", &self.scope), ("kind", self.kind), ("policy", self.name)]
    }
}
