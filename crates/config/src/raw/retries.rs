//! Retries as written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

use super::{OffOr, OneOrMany, Share, Size, Spanned, Time};

/// When a request is sent once more. What certainly was not worked on is sent again without this,
/// and where an endpoint cannot be reached another is asked at once.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetriesSpec {
    /// Most times that a request is sent, the first included, 2 to 10. Default: 3.
    #[schemars(range(min = 2, max = 10))]
    pub(crate) attempts: Option<Spanned<u8>>,
    /// What is worth another try: `connect_failure`, `refused`, `reset` (no reply, or half a head),
    /// `timeout`, statuses from 400 to 599, and codes of gRPC such as `UNAVAILABLE`. Default:
    /// `[connect_failure, refused, reset, timeout, 502, 503, 504]`.
    pub(crate) on: Option<Spanned<Vec<Spanned<RetryOnSpec>>>>,
    /// Methods that may be sent twice. Default: the idempotent ones, `GET`, `HEAD`, `OPTIONS`,
    /// `TRACE`, `PUT` and `DELETE`.
    pub(crate) methods: Option<OneOrMany<Spanned<String>>>,
    /// Whether a request with an `Idempotency-Key` may be sent twice, whatever its method. Default:
    /// false.
    pub(crate) idempotency_key: Option<bool>,
    /// How long one try may take to connect, and then to reply, if the request may be sent again.
    /// Default: the timeouts `connect` and `first_byte`.
    pub(crate) per_try_timeout: Option<Spanned<Time>>,
    /// How long is waited before another try.
    #[serde(default)]
    pub(crate) backoff: BackoffSpec,
    /// Longest `Retry-After` that is waited for; a reply that asks for more goes to the client.
    /// Default: `1s`.
    pub(crate) retry_after: Option<Spanned<Time>>,
    /// Most content that is kept to be sent again, up to 16MiB; a request with more is not tried
    /// again once it went past. Default: `64KiB`.
    pub(crate) buffer: Option<Spanned<Size>>,
    /// Most retries at once, or `off`; only on a service.
    pub(crate) budget: Option<Spanned<OffOr<BudgetSpec>>>,
}

/// How long is waited before another try: at random up to `base`, then up to twice of it, and so on.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackoffSpec {
    /// The most before the second try. Default: `25ms`.
    pub(crate) base: Option<Spanned<Time>>,
    /// The most before any. Default: `250ms`.
    pub(crate) max: Option<Spanned<Time>>,
}

/// Most retries at once, over all workers: the larger one of two bounds.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetSpec {
    /// Relative to the service's requests under way that are no retries. Default: `20%`.
    pub(crate) share: Option<Spanned<Share>>,
    /// So many always. Default: 3.
    pub(crate) minimum: Option<Spanned<u32>>,
}

/// What a request is sent again for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryOnSpec {
    ConnectFailure,
    Refused,
    Reset,
    Timeout,
    Status(u16),
    Grpc(u8),
}

/// The codes of gRPC by number, as its specification writes them.
pub(crate) const GRPC_CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

const CAUSES: &[&str] = &[
    "connect_failure",
    "refused",
    "reset",
    "timeout",
    "503",
    "UNAVAILABLE",
    "RESOURCE_EXHAUSTED",
    "ABORTED",
    "CANCELLED",
    "INTERNAL",
    "UNKNOWN",
    "DEADLINE_EXCEEDED",
];

impl<'de> Deserialize<'de> for RetryOnSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RetryOnVisitor)
    }
}

struct RetryOnVisitor;

impl Visitor<'_> for RetryOnVisitor {
    type Value = RetryOnSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`connect_failure`, `refused`, `reset`, `timeout`, a status or a code of gRPC")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<RetryOnSpec, E> {
        match text {
            "connect_failure" => return Ok(RetryOnSpec::ConnectFailure),
            "refused" => return Ok(RetryOnSpec::Refused),
            "reset" => return Ok(RetryOnSpec::Reset),
            "timeout" => return Ok(RetryOnSpec::Timeout),
            _ => {}
        }
        // A reference to a variable is text, whatever it brings in.
        if let Ok(status) = text.parse() {
            return Ok(RetryOnSpec::Status(status));
        }
        let code = GRPC_CODES.iter().position(|code| code.eq_ignore_ascii_case(text));
        match code.and_then(|code| u8::try_from(code).ok()) {
            Some(code) => Ok(RetryOnSpec::Grpc(code)),
            None => Err(E::unknown_variant(text, CAUSES)),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<RetryOnSpec, E> {
        u16::try_from(number)
            .map(RetryOnSpec::Status)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
}

impl JsonSchema for RetryOnSpec {
    fn schema_name() -> Cow<'static, str> {
        "RetryOn".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "enum": ["connect_failure", "refused", "reset", "timeout"] },
                { "enum": &GRPC_CODES[1..], "description": "A code of gRPC in a reply that is nothing but its head." },
                { "type": "integer", "minimum": 400, "maximum": 599, "description": "A status." },
                { "type": "string", "pattern": r"\$\{|^file:" }
            ]
        })
    }
}
