//! Services that are asked whether requests may pass, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{OneOrMany, Size, Spanned, StoreTlsSpec, Time};

/// A service of one's own that is asked about every request, over HTTP: 2xx lets it pass, 3xx and
/// 4xx are what the client is told, and anything else is no answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExtAuthzSpec {
    /// Its name in metrics and logs. A route's replaces its service's of the same name, and that a
    /// global one. Default: `ext_authz`.
    pub(crate) name: Option<Spanned<String>>,
    /// The URL that is asked, by `GET` and without content.
    pub(crate) url: Spanned<String>,
    /// Header fields of the request that it is shown, beside `X-Forwarded-Method`, `-Uri`, `-Host`,
    /// `-Proto` and `-For`, which the gateway writes. Default: `Authorization` and `Cookie`.
    pub(crate) send_headers: Option<OneOrMany<Spanned<String>>>,
    /// Header fields of its answer that the service gets with a request that passes. What a client
    /// sends under these names is taken out. Default: none.
    pub(crate) to_upstream: Option<OneOrMany<Spanned<String>>>,
    /// Header fields of its answer that the client gets where a request does not pass, beside those
    /// that say what the content is. Default: `WWW-Authenticate`, `Location` and `Set-Cookie`.
    pub(crate) to_client: Option<OneOrMany<Spanned<String>>>,
    /// The longest that one call takes, connecting included, up to `1m`. Default: `500ms`.
    pub(crate) timeout: Option<Spanned<Time>>,
    /// The largest content of an answer that is read, up to `1MiB`. Default: `64KiB`.
    pub(crate) max_size: Option<Spanned<Size>>,
    /// Most calls under way at once, 1 to 100,000; a request beyond that gets no answer. Default:
    /// 1000.
    #[schemars(range(min = 1, max = 100_000))]
    pub(crate) max_calls: Option<Spanned<u32>>,
    /// What becomes of a request that there is no answer about: it is refused with 503 (`closed`),
    /// or it passes (`open`). Default: `closed`.
    pub(crate) on_failure: Option<AuthzFailureSpec>,
    /// How answers are remembered. Default: they are not; it is asked about every request.
    pub(crate) cache: Option<AuthzCacheSpec>,
    /// How TLS towards it is verified. Default: by the system's authorities.
    pub(crate) tls: Option<StoreTlsSpec>,
}

/// What becomes of a request that there is no answer about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthzFailureSpec {
    /// It is refused.
    Closed,
    /// It passes.
    Open,
}

/// How answers are remembered: by all that was asked, but for what is left out here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthzCacheSpec {
    /// How long, up to `1h`. Default: `10s`.
    pub(crate) ttl: Option<Spanned<Time>>,
    /// Most answers that are remembered, 1 to 1,000,000, shared out among the workers. Default:
    /// 10,000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) size: Option<Spanned<u32>>,
    /// What the answer does not depend on, so that one about another request will do: `method`,
    /// `uri`, `host`, `scheme`, `ip`. Default: nothing.
    pub(crate) regardless_of: Option<OneOrMany<Spanned<AuthzPartSpec>>>,
}

/// A part of what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthzPartSpec {
    /// The method.
    Method,
    /// The path and the query.
    Uri,
    /// The host.
    Host,
    /// `http` or `https`.
    Scheme,
    /// The client's address.
    Ip,
}
