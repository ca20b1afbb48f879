//! What there is to tell of tokens that are shown to services.

use super::page::{Kind, Page};
use super::services::ServiceScrape;

/// What there is to tell of the token of a service.
#[derive(Debug, Clone, Copy)]
pub struct TokenScrape {
    /// How long it holds yet, in seconds; nothing as long as there is none.
    pub left: Option<u64>,
    /// How often one was granted.
    pub granted: u64,
    /// How often none was.
    pub failed: u64,
    /// Answers of the service that said that the token is not good.
    pub rejected: u64,
}

pub(super) fn render(services: &[ServiceScrape<'_>], page: &mut Page<'_>) {
    let tokens = || services.iter().filter_map(|one| Some((one.name, one.token.as_ref()?)));
    page.family(
        "portcullis_upstream_token_left_seconds",
        Kind::Gauge,
        "How long the token that is shown to a service holds yet; 0 as long as there is none.",
    );
    for (service, token) in tokens() {
        page.sample(&[("service", service)], token.left.unwrap_or(0));
    }
    page.family(
        "portcullis_upstream_token_fetches_total",
        Kind::Counter,
        "Tokens for a service that were asked for, by how that ended.",
    );
    for (service, token) in tokens() {
        for (result, count) in [("ok", token.granted), ("failed", token.failed)] {
            page.sample(&[("service", service), ("result", result)], count);
        }
    }
    page.family(
        "portcullis_upstream_token_rejected_total",
        Kind::Counter,
        "Answers of a service with status 401 to requests that showed its token.",
    );
    for (service, token) in tokens() {
        page.sample(&[("service", service)], token.rejected);
    }
}
