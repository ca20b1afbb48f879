//! Policies: what is asked of a request beyond its route, before any service is bothered. So far
//! those that count: rate limits, quotas and limits of concurrency.
//!
//! A policy here knows neither routes nor connections: it is asked about a request through
//! [`Facts`], and what it has counted lives in the [`Registry`], outside any configuration.

mod access;
mod admit;
mod auth;
pub mod browser;
mod calendar;
mod calls;
mod clock;
pub mod consumers;
mod describe;
mod fields;
pub mod grants;
mod hide;
mod identity;
pub mod issuers;
mod key;
mod limit;
mod oauth;
mod policy;
mod registry;
mod seats;
pub mod shared;
mod store;
mod table;
#[cfg(test)]
mod testing;
mod vault;

pub use access::{Asker, Forbidden, RunningRule};
pub use admit::{Applying, Later, MOST_GROUPS, Refusal, Why, Work};
pub use auth::{
    Answers, Around, Asking, Authentication, Denied, Guard, Known, LoginFault, Logins, Redirect,
    Refused, RelyingParty, Tokens, Verifier, Waiting,
};
pub use clock::nanos;
pub use hide::cookies as hide_cookies;
pub use identity::{Consumer, Granted, Identity, More};
pub use key::{Facts, KeyHasher, Missed, write_key};
pub use limit::{Allowance, Bucket, Limit, Verdict, Window};
pub use policy::{Now, Running};
pub use registry::{Counted, Judged, PolicyId, Registry, RunningPolicies, Scope};
pub use seats::Seat;
pub use store::{QuotaStore, StoreError};
pub use table::{Full, Key, Table};
pub use vault::Vault;
