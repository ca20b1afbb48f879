//! Fetching keys: from an address, or from the one that an issuer's metadata names.

use portcullis_config::model::{Issuer, KeyOrigin, Url};
use portcullis_jose::{Claims, JsonError, KeyError, KeySet, KeySetLimits};

use super::metadata::Metadata;
use crate::calls::{Call, CallError, Caller};

/// How much of a foreign text an error repeats.
const MOST_SHOWN: usize = 200;

/// Keys that were fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) set: KeySet,
    /// The document that they stand in.
    pub(super) document: Vec<u8>,
    /// What else the issuer says of itself, where it was asked.
    pub(super) metadata: Option<Metadata>,
}

/// Why no keys could be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{0}: {1}")]
    Call(Url, #[source] CallError),
    #[error("{0}: status {1}")]
    Status(Url, u16),
    #[error("{0}: the metadata {1}")]
    Metadata(Url, #[source] JsonError),
    #[error("{0}: the metadata are those of {1:?}")]
    OtherIssuer(Url, String),
    #[error("{0}: `jwks_uri` is missing from the metadata, or no address that is believed")]
    NoAddress(Url),
    #[error("{0}: the key set cannot be used: {1}")]
    Set(Url, #[source] KeyError),
    #[error("{0}: no key of the set can be used{1}")]
    NoKeys(Url, String),
}

/// Fetches the keys of an issuer.
pub(super) async fn fetch(caller: &Caller, issuer: &Issuer) -> Result<Fetched, FetchError> {
    let (url, metadata) = match &issuer.keys {
        KeyOrigin::Discovery(url) => {
            let (url, metadata) = discover(caller, issuer, url).await?;
            (url, Some(metadata))
        }
        KeyOrigin::Address(url) => (url.clone(), None),
        KeyOrigin::Set(_) | KeyOrigin::Pem(_) | KeyOrigin::Secret(_) => {
            return Ok(Fetched { set: KeySet::default(), document: Vec::new(), metadata: None });
        }
    };
    let document = get(caller, issuer, &url).await?;
    let limits = KeySetLimits { bytes: issuer.max_size, keys: issuer.max_keys, symmetric: false };
    let set = KeySet::from_jwks(&document, limits)
        .map_err(|error| FetchError::Set(url.clone(), error))?;
    if set.is_empty() {
        let first = set.skipped().first().map(|skipped| format!(": {}", skipped.why));
        return Err(FetchError::NoKeys(url.clone(), first.unwrap_or_default()));
    }
    Ok(Fetched { set, document, metadata })
}

/// The address of the keys, from metadata that must be the issuer's own (RFC 8414, section 3.3).
async fn discover(
    caller: &Caller,
    issuer: &Issuer,
    url: &Url,
) -> Result<(Url, Metadata), FetchError> {
    let content = get(caller, issuer, url).await?;
    let metadata =
        Claims::from_json(&content).map_err(|error| FetchError::Metadata(url.clone(), error))?;
    let text = |name| metadata.get(name).and_then(portcullis_jose::Value::as_str);
    let found = text("issuer").unwrap_or_default();
    if found != &*issuer.issuer {
        let shown: String = found.chars().take(MOST_SHOWN).collect();
        return Err(FetchError::OtherIssuer(url.clone(), shown));
    }
    let keys = text("jwks_uri").and_then(|keys| keys.parse::<Url>().ok());
    // Whoever is asked with TLS must not lead to where there is none.
    let keys = keys.filter(|keys| keys.is_tls() || !url.is_tls());
    let keys = keys.ok_or_else(|| FetchError::NoAddress(url.clone()))?;
    Ok((keys, Metadata::read(&metadata, url.is_tls())))
}

async fn get(caller: &Caller, issuer: &Issuer, url: &Url) -> Result<Vec<u8>, FetchError> {
    let call = Call {
        method: "GET",
        url,
        fields: &[("accept", "application/json")],
        content: None,
        most: issuer.max_size,
        timeout: issuer.timeout,
    };
    let answered =
        caller.call(&call).await.map_err(|error| FetchError::Call(url.clone(), error))?;
    match answered.status {
        200 => Ok(answered.content),
        status => Err(FetchError::Status(url.clone(), status)),
    }
}
