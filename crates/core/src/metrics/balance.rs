//! What workers count about choosing endpoints.

use super::{Counter, Sharded};

/// What one worker counted for one endpoint.
#[derive(Debug, Default)]
pub struct EndpointSeries {
    /// Requests and connections that were sent to it, those that failed included.
    pub requests: Counter,
    /// Of these, those that are under way.
    pub active: Counter,
}

/// An endpoint's counters.
pub type EndpointMetrics = Sharded<EndpointSeries>;

/// What became of the cookie that brings a client back to its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StickyResult {
    /// The client went on to the endpoint that it had.
    Kept,
    /// It had no cookie.
    New,
    /// Its cookie names nobody who is there.
    Unknown,
    /// Its endpoint takes no requests now, or failed this one.
    Lost,
}

impl StickyResult {
    /// Every one, by position.
    pub const ALL: [StickyResult; 4] =
        [StickyResult::Kept, StickyResult::New, StickyResult::Unknown, StickyResult::Lost];

    /// Its name in metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            StickyResult::Kept => "kept",
            StickyResult::New => "new",
            StickyResult::Unknown => "unknown",
            StickyResult::Lost => "lost",
        }
    }
}

/// What one worker counted about a service's cookie, by [`StickyResult`]'s position.
#[derive(Debug, Default)]
pub struct StickySeries(pub [Counter; StickyResult::ALL.len()]);

/// The counters of a service's cookie.
pub type StickyMetrics = Sharded<StickySeries>;
