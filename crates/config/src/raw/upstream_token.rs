//! The token that the gateway shows to a service, as written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{ClientSpec, OneOrMany, Spanned, StoreTlsSpec, Time};

/// A token that the gateway gets for itself (client credentials, RFC 6749, 4.4) and shows to the
/// service in `Authorization`. Got in the background, renewed ahead; no request goes without it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamTokenSpec {
    /// The issuer, of `issuers`, that grants it; its `timeout`, `max_size` and `tls` hold. Needed
    /// unless `endpoint` is there.
    pub(crate) issuer: Option<Spanned<String>>,
    /// The URL that grants it. Default: `token_endpoint` of the issuer's metadata.
    pub(crate) endpoint: Option<Spanned<String>>,
    /// What the issuer knows the gateway by.
    pub(crate) client: Spanned<ClientSpec>,
    /// Scopes that are asked for. Default: none; the issuer decides.
    pub(crate) scopes: Option<OneOrMany<Spanned<String>>>,
    /// What the token is for (RFC 8707): a URI, or several. Default: none.
    pub(crate) resource: Option<OneOrMany<Spanned<String>>>,
    /// Further parameters of the request, such as `audience`. Default: none.
    pub(crate) parameters: Option<BTreeMap<String, Spanned<String>>>,
    /// How long before it expires the token is renewed, `1s` to `1h`; at most half of the time that
    /// it holds. Default: `1m`.
    pub(crate) refresh_ahead: Option<Spanned<Time>>,
    /// The longest that it takes to get a token, up to `1m`; without `issuer`. Default: `5s`.
    pub(crate) timeout: Option<Spanned<Time>>,
    /// How TLS towards `endpoint` is verified; without `issuer`. Default: by the system's
    /// authorities.
    pub(crate) tls: Option<Spanned<StoreTlsSpec>>,
}
