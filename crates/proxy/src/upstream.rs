//! The way to endpoints: choosing one, connecting, keeping connections.

pub(crate) mod acquire;
pub(crate) mod adaptive;
pub(crate) mod balance;
pub(crate) mod breaker;
pub(crate) mod connect;
pub(crate) mod health;
pub(crate) mod lines;
pub(crate) mod load;
pub(crate) mod outcome;
pub(crate) mod outlier;
pub(crate) mod pool;
pub(crate) mod retry;
pub(crate) mod seats;
pub(crate) mod state;
pub(crate) mod sticky;
pub(crate) mod tend;

/// Most endpoints that are tried for one request or connection.
pub(crate) const MOST_TRIES: usize = 4;
