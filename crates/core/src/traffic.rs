//! What becomes of copies of requests, and of requests that are turned away.

/// What became of a request that was drawn to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirrorOutcome {
    /// The other service answered, whatever it said.
    Answered,
    /// The other service did not answer.
    Failed,
    /// Too many copies were under way, so it was not copied.
    Busy,
    /// Its content is too large, or did not come whole, so it was not copied.
    TooLarge,
}

impl MirrorOutcome {
    /// Every one, by position.
    pub const ALL: [MirrorOutcome; 4] = [
        MirrorOutcome::Answered,
        MirrorOutcome::Failed,
        MirrorOutcome::Busy,
        MirrorOutcome::TooLarge,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            MirrorOutcome::Answered => "answered",
            MirrorOutcome::Failed => "failed",
            MirrorOutcome::Busy => "busy",
            MirrorOutcome::TooLarge => "too_large",
        }
    }
}

/// How much requests matter, from the least, as metrics name it.
pub const IMPORTANCES: [&str; 3] = ["low", "normal", "high"];
