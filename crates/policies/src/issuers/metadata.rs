//! What an issuer says of itself (OpenID Connect Discovery 1.0, 3; RFC 8414, 2), beside its keys.

use portcullis_config::model::Url;
use portcullis_jose::{Claims, Value};

/// Addresses of an issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Where browsers log in.
    pub(crate) authorization: Option<Url>,
    /// Where codes become tokens.
    pub(crate) token: Option<Url>,
    /// Where tokens are asked about (RFC 7662).
    pub(crate) introspection: Option<Url>,
    /// Where more is told of who has logged in.
    pub(crate) user_info: Option<Url>,
    /// Where browsers log out.
    pub(crate) end_session: Option<Url>,
    /// Answers say who gives them (RFC 9207, 3).
    pub(crate) names_itself: bool,
}

impl Metadata {
    /// From metadata that came with TLS, or without.
    pub(super) fn read(metadata: &Claims, tls: bool) -> Metadata {
        let url = |name| {
            let text = metadata.get(name).and_then(Value::as_str)?;
            // Whoever is asked with TLS must not lead to where there is none.
            text.parse::<Url>().ok().filter(|url| url.is_tls() || !tls)
        };
        let said = metadata.get("authorization_response_iss_parameter_supported");
        Metadata {
            authorization: url("authorization_endpoint"),
            token: url("token_endpoint"),
            introspection: url("introspection_endpoint"),
            user_info: url("userinfo_endpoint"),
            end_session: url("end_session_endpoint"),
            names_itself: matches!(said, Some(Value::Bool(true))),
        }
    }
}
