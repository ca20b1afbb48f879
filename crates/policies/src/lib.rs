//! Policies: what is asked of a request beyond its route, before any service is bothered. So far
//! those that count: rate limits, quotas and limits of concurrency.
//!
//! A policy here knows neither routes nor connections: it is asked about a request through
//! [`Facts`], and what it has counted lives in the [`Registry`], outside any configuration.

mod key;
mod limit;
pub mod shared;
mod table;
#[cfg(test)]
mod testing;

pub use key::{Facts, KeyHasher, Missed, write_key};
pub use limit::{Allowance, Bucket, Limit, Verdict, Window};
pub use table::{Full, Key, Table};
