//! What is counted of calls to those that are asked whether requests may pass.

use portcullis_core::{AuthzCounts, AuthzResult};

use super::page::{Kind, Page};

/// One that is asked.
#[derive(Debug)]
pub struct AuthzFact<'a> {
    /// Where it is written.
    pub scope: String,
    /// Its name.
    pub name: &'a str,
    /// What became of requests.
    pub counts: &'a AuthzCounts,
}

/// Renders them.
pub(super) fn render(facts: &[AuthzFact<'_>], page: &mut Page<'_>) {
    page.family(
        "portcullis_ext_authz_requests_total",
        Kind::Counter,
        "Requests by how those that are asked whether they may pass have answered.",
    );
    for fact in facts {
        for result in AuthzResult::ALL {
            let labels =
                [("scope", &*fact.scope), ("policy", fact.name), ("result", result.as_str())];
            page.sample(&labels, fact.counts.of(result));
        }
    }
    page.family(
        "portcullis_ext_authz_call_seconds_total",
        Kind::Counter,
        "How long calls to those that are asked took, all together.",
    );
    for fact in facts {
        let labels = [("scope", &*fact.scope), ("policy", fact.name)];
        page.sample_fraction(&labels, fact.counts.seconds());
    }
}
