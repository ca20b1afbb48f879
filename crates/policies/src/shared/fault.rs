//! Why a store gave no answer.

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why a store gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFault {
    /// It took too long.
    Timeout,
    /// There is no connection to it.
    Connection,
    /// It does not let the gateway in, or not do this.
    Refused,
    /// Its memory is full.
    Full,
    /// It takes no writes: it is a replica now.
    ReadOnly,
    /// It is starting, failing over or has lost its majority.
    Unavailable,
    /// It answered with another error, or with something else altogether.
    Other,
    /// It was not asked, for it gave no answer shortly before.
    Skipped,
}

impl StoreFault {
    /// Every one, by position.
    pub const ALL: [StoreFault; 8] = [
        StoreFault::Timeout,
        StoreFault::Connection,
        StoreFault::Refused,
        StoreFault::Full,
        StoreFault::ReadOnly,
        StoreFault::Unavailable,
        StoreFault::Other,
        StoreFault::Skipped,
    ];

    /// Its name in metrics and logs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            StoreFault::Timeout => "timeout",
            StoreFault::Connection => "connection",
            StoreFault::Refused => "refused",
            StoreFault::Full => "full",
            StoreFault::ReadOnly => "read_only",
            StoreFault::Unavailable => "unavailable",
            StoreFault::Other => "other",
            StoreFault::Skipped => "skipped",
        }
    }

    pub(crate) fn of(error: &RedisError) -> StoreFault {
        match error.code() {
            Some("OOM") => return StoreFault::Full,
            Some("NOAUTH" | "WRONGPASS" | "NOPERM") => return StoreFault::Refused,
            Some("NOREPLICAS" | "MISCONF") => return StoreFault::Unavailable,
            _ => {}
        }
        match error.kind() {
            ErrorKind::AuthenticationFailed => StoreFault::Refused,
            ErrorKind::Io if error.is_timeout() => StoreFault::Timeout,
            ErrorKind::Io | ErrorKind::ClusterConnectionNotFound => StoreFault::Connection,
            ErrorKind::MasterNameNotFoundBySentinel | ErrorKind::NoValidReplicasFoundBySentinel => {
                StoreFault::Unavailable
            }
            ErrorKind::Server(ServerErrorKind::ReadOnly) => StoreFault::ReadOnly,
            ErrorKind::Server(ServerErrorKind::NoPerm) => StoreFault::Refused,
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::MasterDown
                | ServerErrorKind::TryAgain
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask,
            ) => StoreFault::Unavailable,
            // A script passes on what its commands met.
            _ if error.detail().is_some_and(|detail| detail.contains("OOM ")) => StoreFault::Full,
            _ => StoreFault::Other,
        }
    }

    /// Whether the connection is of no more use: it is broken, or it leads to a server that does
    /// not count any more.
    pub(crate) fn ends_connection(self) -> bool {
        matches!(
            self,
            StoreFault::Connection
                | StoreFault::Refused
                | StoreFault::ReadOnly
                | StoreFault::Unavailable
        )
    }
}
