//! What is asked about a request: the fields of the call, and by what its answer is remembered.

use std::net::IpAddr;

use aws_lc_rs::digest::{Context, SHA256};
use portcullis_config::model::{AuthzPart, ExtAuthz};
use portcullis_wire::{Fields, RequestHead};

use crate::auth::claims::is_same;

/// The digest of a question.
pub(super) type Key = [u8; 32];

/// A request, as it is asked about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// Its head.
    pub request: &'a RequestHead,
    /// Its normalised path.
    pub path: &'a [u8],
    /// Whether the client speaks TLS, as far as trusted hops tell.
    pub secure: bool,
    /// The client's address.
    pub client: Option<IpAddr>,
}

/// A question.
#[derive(Debug)]
pub struct Question {
    /// Fields of the call.
    pub(super) fields: Fields,
    /// By what the answer is remembered, if it is.
    pub(super) key: Option<Key>,
}

impl Question {
    /// What is asked about a request.
    #[must_use]
    pub fn new(written: &ExtAuthz, about: &About<'_>) -> Question {
        let request = about.request;
        let client = about.client.map(|client| client.to_string()).unwrap_or_default();
        let mut uri = about.path.to_vec();
        if let Some(query) = request.query() {
            uri.push(b'?');
            uri.extend_from_slice(query);
        }
        let scheme: &[u8] = if about.secure { b"https" } else { b"http" };
        let parts: [(AuthzPart, &[u8], &[u8]); 5] = [
            (AuthzPart::Method, b"X-Forwarded-Method", request.method()),
            (AuthzPart::Uri, b"X-Forwarded-Uri", &uri),
            (AuthzPart::Host, b"X-Forwarded-Host", request.authority()),
            (AuthzPart::Scheme, b"X-Forwarded-Proto", scheme),
            (AuthzPart::Ip, b"X-Forwarded-For", client.as_bytes()),
        ];
        let mut fields = Fields::default();
        let mut digest = written.cache.as_ref().map(|cache| (cache, Context::new(&SHA256)));
        for (part, name, value) in parts {
            if !value.is_empty() {
                fields.push(name, value);
            }
            if let Some((cache, digest)) = &mut digest
                && !cache.regardless_of.contains(&part)
            {
                add(digest, name, value);
            }
        }
        for name in &written.send {
            for value in request.fields.all(name.as_bytes()) {
                fields.push(name.as_bytes(), value);
                if let Some((_, digest)) = &mut digest {
                    add(digest, name.as_bytes(), value);
                }
            }
        }
        let key = digest.map(|(_, digest)| {
            let mut key = [0; 32];
            key.copy_from_slice(digest.finish().as_ref());
            key
        });
        Question { fields, key }
    }
}

/// Adds a part so that no two lists of parts read the same.
fn add(digest: &mut Context, name: &[u8], value: &[u8]) {
    for text in [name, value] {
        digest.update(&(text.len() as u64).to_be_bytes());
        digest.update(text);
    }
}

/// Whether the client says of a field that the service is told of that it belongs to the connection
/// (RFC 9110, 7.6.1): it would not arrive.
#[must_use]
pub fn nominates(written: &ExtAuthz, request: &RequestHead) -> bool {
    let options = request.fields.all(b"connection").flat_map(|value| value.split(|b| *b == b','));
    let mut options = options.map(<[u8]>::trim_ascii);
    options.any(|option| written.to_upstream.iter().any(|name| is_same(option, name)))
}

/// Takes out what the client has sent under the names of fields that the service is told of.
pub fn take_out(written: &ExtAuthz, request: &mut RequestHead) {
    if !written.to_upstream.is_empty() {
        let taken = |name: &[u8]| written.to_upstream.iter().any(|own| is_same(name, own));
        request.fields.retain(|field| !taken(field.name));
    }
}
