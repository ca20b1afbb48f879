//! From what was written to what is meant: every rule that the types cannot express, all faults at
//! once. The functions always give a value; it is used only if no fault was found.

mod address;
mod authentication;
mod balance;
mod breaker;
mod client;
mod connection_rate;
mod health;
mod host;
mod http;
mod http2;
mod identity;
mod introspection;
mod issuer;
mod listener;
mod matching;
mod oidc;
mod outliers;
mod path;
mod policies;
mod process;
mod protocol;
mod proxy_protocol;
mod retries;
mod route;
mod service;
mod store;
mod tcp_route;
mod template;
mod tls;
mod token;
mod traffic;
mod upstream_token;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::inputs::Inputs;
use crate::node::{Finding, Span};
use crate::raw::{Spanned, Time};

pub(crate) use balance::zone;
pub(crate) use identity::{consumer, credentials, group, plan};
pub(crate) use issuer::issuer;
pub(crate) use listener::listener;
pub(crate) use policies::{KEY_WORDS, policies};
pub(crate) use process::{
    access_log, admin, logged_claims, overload, shutdown, state, upgrade, workers,
};
pub(crate) use route::route;
pub(crate) use service::service;
pub(crate) use store::store;
pub(crate) use tcp_route::tcp_route;

/// What a check works with: where faults go and how files are read.
pub(crate) struct Scope<'a> {
    /// The stable name of the entry.
    pub(crate) name: Arc<str>,
    /// Where the name was written.
    pub(crate) name_span: Span,
    /// A faulty part was taken out before, so that something may be absent through no fault.
    pub(crate) incomplete: bool,
    /// Limits count every consumer for itself unless they say otherwise.
    pub(crate) by_consumer: bool,
    pub(crate) findings: &'a mut Vec<Finding>,
    pub(crate) inputs: &'a mut Inputs,
}

impl Scope<'_> {
    pub(crate) fn fault(&mut self, at: Span, message: impl Into<String>) -> &mut Finding {
        self.push(Finding::error(at, message))
    }

    pub(crate) fn warn(&mut self, at: Span, message: impl Into<String>) -> &mut Finding {
        let mut finding = Finding::error(at, message);
        finding.severity = crate::report::Severity::Warning;
        self.push(finding)
    }

    fn push(&mut self, finding: Finding) -> &mut Finding {
        let index = self.findings.len();
        self.findings.push(finding);
        &mut self.findings[index]
    }

    /// A duration that must not be zero.
    fn time(&mut self, written: Option<&Spanned<Time>>, default: Duration) -> Duration {
        let Some(written) = written else {
            return default;
        };
        if written.value.0.is_zero() {
            self.fault(written.span, "a duration of zero makes no sense here").label =
                "expected more than 0".into();
        }
        written.value.0
    }

    /// A duration that must not be zero, if there is one.
    fn own_time(&mut self, written: Option<&Spanned<Time>>) -> Option<Duration> {
        written.map(|written| self.time(Some(written), written.value.0))
    }

    /// A file's content; empty when it cannot be read.
    fn file(&mut self, written: &Spanned<String>) -> (PathBuf, Arc<[u8]>) {
        let path = self.inputs.path(written.as_str());
        match self.inputs.bytes(&path) {
            Ok(content) => (path, content),
            Err(why) => {
                let shown = written.shown();
                self.fault(written.span, format!("the file {shown} cannot be read: {why}"));
                (path, Arc::from([]))
            }
        }
    }
}
