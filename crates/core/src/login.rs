//! What becomes of logins of browsers and of their sessions.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Something that happens to a login or a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginEvent {
    /// A browser was sent to log in.
    Begun,
    /// It came back, and a session began.
    Completed,
    /// It came back, and no session began.
    Failed,
    /// A session has new tokens.
    Renewed,
    /// The provider gave a session no new tokens.
    NotRenewed,
    /// A session was ended by its user.
    LoggedOut,
}

impl LoginEvent {
    /// Every one, by position.
    pub const ALL: [LoginEvent; 6] = [
        LoginEvent::Begun,
        LoginEvent::Completed,
        LoginEvent::Failed,
        LoginEvent::Renewed,
        LoginEvent::NotRenewed,
        LoginEvent::LoggedOut,
    ];

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LoginEvent::Begun => "begun",
            LoginEvent::Completed => "completed",
            LoginEvent::Failed => "failed",
            LoginEvent::Renewed => "renewed",
            LoginEvent::NotRenewed => "not_renewed",
            LoginEvent::LoggedOut => "logged_out",
        }
    }
}

/// How often each has happened. All workers count here: it is seldom.
#[derive(Debug, Default)]
pub struct LoginCounts([AtomicU64; LoginEvent::ALL.len()]);

impl LoginCounts {
    /// Counts one.
    pub fn add(&self, event: LoginEvent) {
        self.0[event as usize].fetch_add(1, Relaxed);
    }

    /// How often it has happened.
    #[must_use]
    pub fn of(&self, event: LoginEvent) -> u64 {
        self.0[event as usize].load(Relaxed)
    }
}
