//! What there is to tell about issuers of tokens: on the metrics page, and whether there are keys.

use std::sync::Arc;
use std::time::SystemTime;

use portcullis_policies::issuers::{IntrospectionResult, Issuer};
use portcullis_telemetry::IssuerFact;

/// The facts of these issuers.
pub(crate) fn facts(issuers: &[Arc<Issuer>]) -> Vec<IssuerFact<'_>> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let fact = |issuer: &'_ Arc<Issuer>| -> (u64, Option<u64>, (u64, u64)) {
        let keys = issuer.view().set.as_ref().map_or(0, |set| set.keys().len() as u64);
        let age = issuer.fetched().map(|fetched| now.as_secs().saturating_sub(fetched));
        (keys, age, issuer.fetches())
    };
    let told = issuers.iter().map(|issuer| {
        let (keys, age, (succeeded, failed)) = fact(issuer);
        let words = IntrospectionResult::ALL.iter().map(|result| result.as_str());
        let introspections = words.zip(issuer.introspections()).collect();
        IssuerFact { name: issuer.name(), keys, age, succeeded, failed, introspections }
    });
    told.collect()
}

/// What is still waited for, if an issuer has no keys yet.
pub(crate) fn awaited(issuers: &[Arc<Issuer>]) -> Option<String> {
    let without = issuers.iter().find(|issuer| !issuer.has_keys())?;
    Some(format!("the issuer {} has no keys yet", without.name()))
}
