//! What there is to tell of issuers of tokens and their keys.

use super::page::{Kind, Page};

/// What there is to tell of an issuer.
#[derive(Debug, Clone, Default)]
pub struct IssuerFact<'a> {
    /// Its name in the configuration.
    pub name: &'a str,
    /// Keys that can be used.
    pub keys: u64,
    /// How long ago they were fetched, in seconds; nothing as long as there are none.
    pub age: Option<u64>,
    /// Fetches that succeeded.
    pub succeeded: u64,
    /// Fetches that failed.
    pub failed: u64,
    /// How often it was asked about tokens, by what came of it.
    pub introspections: Vec<(&'static str, u64)>,
}

pub(super) fn render(issuers: &[IssuerFact<'_>], page: &mut Page<'_>) {
    page.family(
        "portcullis_issuer_keys",
        Kind::Gauge,
        "Keys of an issuer that can be used; 0 as long as none could be fetched.",
    );
    for issuer in issuers {
        page.sample(&[("issuer", issuer.name)], issuer.keys);
    }
    page.family(
        "portcullis_issuer_keys_age_seconds",
        Kind::Gauge,
        "How long ago the keys of an issuer were fetched.",
    );
    for issuer in issuers {
        if let Some(age) = issuer.age {
            page.sample(&[("issuer", issuer.name)], age);
        }
    }
    page.family(
        "portcullis_issuer_fetches_total",
        Kind::Counter,
        "Fetches of keys of an issuer by how they ended.",
    );
    for issuer in issuers {
        for (result, count) in [("ok", issuer.succeeded), ("failed", issuer.failed)] {
            page.sample(&[("issuer", issuer.name), ("result", result)], count);
        }
    }
    page.family(
        "portcullis_issuer_introspections_total",
        Kind::Counter,
        "How often an issuer was asked about a token, by what came of it.",
    );
    for issuer in issuers {
        for (result, count) in &issuer.introspections {
            page.sample(&[("issuer", issuer.name), ("result", result)], *count);
        }
    }
}
