//! Why an exchange failed: whose fault, which status, what outsiders are told.

use std::fmt;

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The client sent something wrong or went away.
    Client,
    /// The service behind the gateway.
    Upstream,
    /// The gateway itself or its configuration.
    Gateway,
}

/// A failed exchange: the reason, which outsiders may know, and a detail, which they may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong.
    pub reason: Reason,
    /// What precisely, for the log alone.
    pub detail: String,
}

impl Failure {
    /// A failure with its inside text.
    pub fn new(reason: Reason, detail: impl fmt::Display) -> Failure {
        Failure { reason, detail: detail.to_string() }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Failure {
        Failure { reason, detail: String::new() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.code())?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// What went wrong. The order is that of the way of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The head breaks RFC 9112 or RFC 9110.
    BadRequest,
    /// The request target is too long.
    UriTooLong,
    /// Too many fields or too large a header section.
    HeadTooLarge,
    /// A version of HTTP that the gateway does not speak.
    VersionNotSupported,
    /// `CONNECT`, which a gateway does not do.
    ConnectRefused,
    /// The head took too long.
    HeadTimeout,
    /// The connection carried too many frames that are good for nothing.
    Flood,
    /// What should be TLS does not begin with a ClientHello (RFC 8446, 4.1.2).
    BadClientHello,
    /// The path cannot be normalised.
    BadPath,
    /// The request went through this gateway too often.
    Loop,
    /// No route takes it.
    NoRoute,
    /// Routes take the path but not the method.
    MethodNotAllowed,
    /// A protocol to switch to that is not served at this place.
    UpgradeRefused,
    /// A WebSocket of a version that the gateway cannot translate.
    WebSocketVersion,
    /// A preflight from an origin that is not let in.
    CorsRefused,
    /// A page of another site made a browser send it.
    CrossSite,
    /// The content is larger than allowed.
    BodyTooLarge,
    /// Credentials are missing.
    Unauthenticated,
    /// Credentials are not good.
    BadCredentials,
    /// Too many credentials from this address were not good.
    Guessing,
    /// Credentials could not be verified now.
    AuthUnavailable,
    /// A login of a browser would go over plain HTTP.
    LoginInsecure,
    /// A login of a browser could not be completed.
    LoginFailed,
    /// Who calls may not.
    Forbidden,
    /// A part of the key of a limit is missing.
    KeyMissing,
    /// A rate limit has been reached.
    RateLimited,
    /// A quota has been used up.
    QuotaExhausted,
    /// Too many requests are under way.
    TooManyAtOnce,
    /// The content breaks its framing.
    BadBody,
    /// The content came too slowly.
    BodyTimeout,
    /// The client went away.
    ClientGone,
    /// The client did not take the reply in time.
    ClientStalled,
    /// The route's configuration asks for this failure.
    FaultInjected,
    /// The service has too much to do already, so the request was turned away.
    Overloaded,
    /// The service has no endpoint that takes requests.
    NoEndpoint,
    /// The service's breaker is open.
    CircuitOpen,
    /// There is no token to show to the service.
    UpstreamToken,
    /// Every connection that the endpoint may have is full.
    Saturated,
    /// No connection to the endpoint.
    ConnectFailed,
    /// No connection to the endpoint in time.
    ConnectTimeout,
    /// The TLS handshake with the endpoint failed.
    UpstreamTls,
    /// The endpoint closed or reset the connection before its reply.
    UpstreamReset,
    /// The endpoint's reply breaks RFC 9112 or RFC 9110.
    UpstreamMalformed,
    /// The reply's head took too long.
    FirstByteTimeout,
    /// The exchange made no progress.
    UpstreamStalled,
    /// The whole exchange took too long.
    TotalTimeout,
    /// The endpoint ended its reply too early.
    UpstreamTruncated,
    /// Nothing went through a connection of a TCP route for too long.
    IdleTimeout,
    /// The gateway ended before the exchange did: the drain deadline passed.
    Shutdown,
}

/// Every reason, in order; the position of one is its index in the metrics.
pub const REASONS: [Reason; 49] = [
    Reason::BadRequest,
    Reason::UriTooLong,
    Reason::HeadTooLarge,
    Reason::VersionNotSupported,
    Reason::ConnectRefused,
    Reason::HeadTimeout,
    Reason::Flood,
    Reason::BadClientHello,
    Reason::BadPath,
    Reason::Loop,
    Reason::NoRoute,
    Reason::MethodNotAllowed,
    Reason::UpgradeRefused,
    Reason::WebSocketVersion,
    Reason::CorsRefused,
    Reason::CrossSite,
    Reason::BodyTooLarge,
    Reason::Unauthenticated,
    Reason::BadCredentials,
    Reason::Guessing,
    Reason::AuthUnavailable,
    Reason::LoginInsecure,
    Reason::LoginFailed,
    Reason::Forbidden,
    Reason::KeyMissing,
    Reason::RateLimited,
    Reason::QuotaExhausted,
    Reason::TooManyAtOnce,
    Reason::BadBody,
    Reason::BodyTimeout,
    Reason::ClientGone,
    Reason::ClientStalled,
    Reason::FaultInjected,
    Reason::Overloaded,
    Reason::NoEndpoint,
    Reason::CircuitOpen,
    Reason::UpstreamToken,
    Reason::Saturated,
    Reason::ConnectFailed,
    Reason::ConnectTimeout,
    Reason::UpstreamTls,
    Reason::UpstreamReset,
    Reason::UpstreamMalformed,
    Reason::FirstByteTimeout,
    Reason::UpstreamStalled,
    Reason::TotalTimeout,
    Reason::UpstreamTruncated,
    Reason::IdleTimeout,
    Reason::Shutdown,
];

impl Reason {
    /// Its position in [`REASONS`].
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The status of the answer, as long as one can be given.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Reason::BadRequest
            | Reason::BadClientHello
            | Reason::BadPath
            | Reason::LoginFailed
            | Reason::KeyMissing
            | Reason::BadBody => 400,
            Reason::Unauthenticated | Reason::BadCredentials => 401,
            Reason::CorsRefused | Reason::CrossSite | Reason::LoginInsecure | Reason::Forbidden => {
                403
            }
            Reason::NoRoute => 404,
            Reason::ConnectRefused | Reason::MethodNotAllowed => 405,
            Reason::HeadTimeout | Reason::BodyTimeout | Reason::IdleTimeout => 408,
            Reason::BodyTooLarge => 413,
            Reason::UriTooLong => 414,
            Reason::WebSocketVersion => 426,
            Reason::Flood
            | Reason::Guessing
            | Reason::RateLimited
            | Reason::QuotaExhausted
            | Reason::TooManyAtOnce => 429,
            Reason::HeadTooLarge => 431,
            // Nobody sees it but the log; nginx made 499 the customary number.
            Reason::ClientGone | Reason::ClientStalled => 499,
            Reason::ConnectFailed
            | Reason::UpstreamTls
            | Reason::UpstreamReset
            | Reason::UpstreamMalformed
            | Reason::UpstreamTruncated => 502,
            Reason::FaultInjected
            | Reason::AuthUnavailable
            | Reason::Overloaded
            | Reason::NoEndpoint
            | Reason::CircuitOpen
            | Reason::UpstreamToken
            | Reason::Saturated
            | Reason::Shutdown => 503,
            Reason::ConnectTimeout
            | Reason::FirstByteTimeout
            | Reason::UpstreamStalled
            | Reason::TotalTimeout => 504,
            Reason::UpgradeRefused => 501,
            Reason::VersionNotSupported => 505,
            Reason::Loop => 508,
        }
    }

    /// Whose fault it is.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self.status() {
            502 | 504 => Fault::Upstream,
            400..=499 | 501 | 505 => Fault::Client,
            _ => Fault::Gateway,
        }
    }

    /// Its name in logs, metrics and the `type` of a problem.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Reason::BadRequest => "bad_request",
            Reason::UriTooLong => "uri_too_long",
            Reason::HeadTooLarge => "head_too_large",
            Reason::VersionNotSupported => "version_not_supported",
            Reason::ConnectRefused => "connect_refused",
            Reason::HeadTimeout => "head_timeout",
            Reason::Flood => "flood",
            Reason::BadClientHello => "bad_client_hello",
            Reason::BadPath => "bad_path",
            Reason::Loop => "loop",
            Reason::NoRoute => "no_route",
            Reason::MethodNotAllowed => "method_not_allowed",
            Reason::UpgradeRefused => "upgrade_refused",
            Reason::WebSocketVersion => "websocket_version",
            Reason::CorsRefused => "cors_refused",
            Reason::CrossSite => "cross_site",
            Reason::BodyTooLarge => "body_too_large",
            Reason::Unauthenticated => "unauthenticated",
            Reason::BadCredentials => "bad_credentials",
            Reason::Guessing => "guessing",
            Reason::AuthUnavailable => "auth_unavailable",
            Reason::LoginInsecure => "login_insecure",
            Reason::LoginFailed => "login_failed",
            Reason::Forbidden => "forbidden",
            Reason::KeyMissing => "key_missing",
            Reason::RateLimited => "rate_limited",
            Reason::QuotaExhausted => "quota_exhausted",
            Reason::TooManyAtOnce => "too_many_at_once",
            Reason::BadBody => "bad_body",
            Reason::BodyTimeout => "body_timeout",
            Reason::ClientGone => "client_gone",
            Reason::ClientStalled => "client_stalled",
            Reason::FaultInjected => "fault_injected",
            Reason::Overloaded => "overloaded",
            Reason::NoEndpoint => "no_endpoint",
            Reason::CircuitOpen => "circuit_open",
            Reason::UpstreamToken => "upstream_token",
            Reason::Saturated => "saturated",
            Reason::ConnectFailed => "connect_failed",
            Reason::ConnectTimeout => "connect_timeout",
            Reason::UpstreamTls => "upstream_tls",
            Reason::UpstreamReset => "upstream_reset",
            Reason::UpstreamMalformed => "upstream_malformed",
            Reason::FirstByteTimeout => "first_byte_timeout",
            Reason::UpstreamStalled => "upstream_stalled",
            Reason::TotalTimeout => "total_timeout",
            Reason::UpstreamTruncated => "upstream_truncated",
            Reason::IdleTimeout => "idle_timeout",
            Reason::Shutdown => "shutdown",
        }
    }

    /// What outsiders are told, in one sentence.
    #[must_use]
    pub fn outside(self) -> &'static str {
        match self {
            Reason::BadRequest => "The request is not valid HTTP.",
            Reason::UriTooLong => "The request target is too long.",
            Reason::HeadTooLarge => "The request has too many or too large header fields.",
            Reason::VersionNotSupported => "This version of HTTP is not spoken here.",
            Reason::ConnectRefused => "CONNECT is not served here.",
            Reason::HeadTimeout => "The request's head did not arrive in time.",
            Reason::Flood => "The connection carried too much that is good for nothing.",
            Reason::BadClientHello => "This is not the start of TLS.",
            Reason::BadPath => "The request path is not valid.",
            Reason::Loop => "The request has passed through this gateway too often.",
            Reason::NoRoute => "Nothing is served at this place.",
            Reason::MethodNotAllowed => "The method is not served at this place.",
            Reason::UpgradeRefused => "This protocol is not served at this place.",
            Reason::WebSocketVersion => "This version of WebSocket is not spoken here.",
            Reason::CorsRefused => "Pages of this origin may not send such requests.",
            Reason::CrossSite => "The request comes from a page of another site.",
            Reason::BodyTooLarge => "The request's content is too large.",
            Reason::Unauthenticated => "The request has no credentials that are asked for here.",
            Reason::BadCredentials => "The credentials of the request are not valid.",
            Reason::Guessing => "Too many requests with wrong credentials: slow down.",
            Reason::AuthUnavailable => "Credentials cannot be verified at the moment.",
            Reason::LoginInsecure => "Logging in needs an encrypted connection (https).",
            Reason::LoginFailed => "The login could not be completed: please begin again.",
            Reason::Forbidden => "The caller may not do this.",
            Reason::KeyMissing => "The request lacks something that it must be counted by.",
            Reason::RateLimited => "Too many requests: slow down.",
            Reason::QuotaExhausted => "The quota of requests is used up.",
            Reason::TooManyAtOnce => "Too many requests at once.",
            Reason::BadBody => "The request's content is not framed as HTTP asks.",
            Reason::BodyTimeout => "The request's content arrived too slowly.",
            Reason::ClientGone | Reason::ClientStalled => "The client went away.",
            Reason::IdleTimeout => "Nothing was sent for too long.",
            Reason::FaultInjected => "The request was refused on purpose.",
            Reason::Overloaded => "The service has too much to do; try again later.",
            Reason::NoEndpoint
            | Reason::CircuitOpen
            | Reason::UpstreamToken
            | Reason::Saturated
            | Reason::Shutdown => "The service is not available at the moment.",
            Reason::ConnectFailed | Reason::UpstreamTls => "The service could not be reached.",
            Reason::UpstreamReset | Reason::UpstreamMalformed | Reason::UpstreamTruncated => {
                "The service did not answer properly."
            }
            Reason::ConnectTimeout
            | Reason::FirstByteTimeout
            | Reason::UpstreamStalled
            | Reason::TotalTimeout => "The service did not answer in time.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_stands_at_its_index_with_a_name_of_its_own() {
        let mut codes = Vec::new();
        for (i, reason) in REASONS.into_iter().enumerate() {
            assert_eq!(reason.index(), i);
            assert!((400..600).contains(&reason.status()));
            assert!(!codes.contains(&reason.code()), "{}", reason.code());
            codes.push(reason.code());
        }
    }
}
