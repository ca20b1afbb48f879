//! What every crate of Portcullis shares: why an exchange failed, what is told about it, what is
//! counted, and how a request is named. No I/O.

mod auth;
pub mod event;
pub mod failure;
pub mod health;
pub mod log;
mod login;
pub mod metrics;
mod request_id;
pub mod tls;
mod traffic;

pub use auth::{AuthOutcome, CredentialKind};
pub use event::{ConnectionEvent, HandshakeEvent, RefusedEvent, RequestEvent, ToldClaims};
pub use failure::{Failure, Fault, Reason};
pub use login::{LoginCounts, LoginEvent};
pub use request_id::{RequestId, RequestIds};
pub use traffic::{IMPORTANCES, MirrorOutcome};
