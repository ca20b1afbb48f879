//! HTTP/2 of a listener as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{OffOr, Size, Spanned, Time};

/// HTTP/2 towards clients.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Http2Spec {
    /// Requests that a connection may carry at once, at most 10000. Default: 100.
    pub(crate) concurrent_streams: Option<Spanned<u32>>,
    /// Bytes of a request's body that a client may send before the service has taken them, 64KiB
    /// to 1GiB. Default: `256KiB`.
    pub(crate) window: Option<Spanned<Size>>,
    /// The same over all requests of a connection. Default: `8MiB`.
    pub(crate) connection_window: Option<Spanned<Size>>,
    /// Requests that a client may take back at once (RST_STREAM); a tenth of it a second in the
    /// long run. More ends the connection. Default: 200.
    pub(crate) resets: Option<Spanned<u32>>,
    /// Frames that carry neither request nor body (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty
    /// and unknown ones) that a client may send at once; a tenth of it a second in the long run,
    /// and more in proportion to what is carried. More ends the connection. Default: 1000.
    pub(crate) control_frames: Option<Spanned<u32>>,
    /// CONTINUATION frames that the head of one request may have. More ends the connection.
    /// Default: 16.
    pub(crate) continuations: Option<Spanned<u32>>,
    /// How long new connections wait at most from an address (IPv6: a /64) whose connection was
    /// ended for one of the three bounds above: 100ms at first, twice that each time it comes back
    /// and does it again, up to this; 100ms to 1m, or `off`. Default: `1s`.
    pub(crate) penalty: Option<Spanned<OffOr<Time>>>,
}
