//! Until when what TLS is configured with is good, and what is about to end.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;

use super::certificate::date;
use super::parsed::Parsed;
use super::{Pem, TlsWarning};

/// What ends within this time is told: it is about what people need to get another.
const SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Until when a file is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// What it holds.
    pub kind: ExpiryKind,
    /// The file, as a path.
    pub label: Arc<str>,
    /// The last moment of the first of its parts to end, since the Unix epoch.
    pub at: Duration,
}

/// What a file holds that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiryKind {
    /// A certificate and its issuers, which is shown to the other side.
    Certificate,
    /// Certificates of authorities.
    Authority,
    /// Revocation lists.
    RevocationList,
}

impl ExpiryKind {
    /// Its name in metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            ExpiryKind::Certificate => "certificate",
            ExpiryKind::Authority => "ca",
            ExpiryKind::RevocationList => "crl",
        }
    }
}

/// What was found out beside a configuration.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) warnings: Vec<TlsWarning>,
    pub(super) expiries: Vec<Expiry>,
}

impl Findings {
    /// Notes when the first of these certificates ends, and warns of those that have ended or soon
    /// will. Whether the first of a chain has ended is known already.
    pub(super) fn certificates(
        &mut self,
        kind: ExpiryKind,
        text: &Pem,
        chain: &[CertificateDer<'_>],
    ) {
        let mut first = None;
        for (index, der) in chain.iter().enumerate() {
            let Some(end) = Parsed::of(der).map(|parsed| parsed.not_after) else { continue };
            first = Some(first.map_or(end, |first: Duration| first.min(end)));
            let label = Arc::clone(&text.label);
            let now = now();
            if end < now && (index > 0 || kind == ExpiryKind::Authority) {
                self.warnings.push(TlsWarning::Expired { label, on: date(end) });
            } else if (now..now + SOON).contains(&end) {
                self.warnings.push(TlsWarning::EndsSoon { label, on: date(end) });
            }
        }
        self.ends(kind, text, first);
    }

    /// Notes when a file ends; where it stands twice, it is one file.
    pub(super) fn ends(&mut self, kind: ExpiryKind, text: &Pem, at: Option<Duration>) {
        let known = |expiry: &Expiry| expiry.kind == kind && expiry.label == text.label;
        if let Some(at) = at.filter(|_| !self.expiries.iter().any(known)) {
            self.expiries.push(Expiry { kind, label: Arc::clone(&text.label), at });
        }
    }
}

/// Now, since the Unix epoch.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::certificate::certificates;
    use super::super::testing::Authority;
    use super::*;

    /// What is found of a chain whose leaf ends so many seconds from now.
    fn found(seconds: u64) -> Findings {
        let key = rcgen::KeyPair::generate().unwrap();
        let end = now() + Duration::from_secs(seconds);
        let issued = Authority::new().issue_with(&["a.test"], &key, |params| {
            params.not_after = rcgen::date_time_ymd(1970, 1, 1) + end;
        });
        let mut findings = Findings::default();
        let chain = certificates(&issued.chain).unwrap();
        findings.certificates(ExpiryKind::Certificate, &issued.chain, &chain);
        findings.certificates(ExpiryKind::Certificate, &issued.chain, &chain);
        findings
    }

    #[test]
    fn certificates_that_end_within_two_weeks_are_told() {
        const DAY: u64 = 24 * 60 * 60;
        for (seconds, told) in [(15 * DAY, false), (13 * DAY, true), (60, true)] {
            let findings = found(seconds);
            let soon = |w: &TlsWarning| matches!(w, TlsWarning::EndsSoon { .. });
            assert_eq!(findings.warnings.iter().any(soon), told, "{seconds}");
            assert_eq!(findings.expiries.len(), 1, "one file");
            assert_eq!(findings.expiries[0].kind.code(), "certificate");
            assert!(findings.expiries[0].at > now(), "{seconds}");
        }
    }
}
