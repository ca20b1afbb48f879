//! Sessions of browsers in a store. They live there for as long as somebody uses them; their content
//! is sealed, so that the store keeps what it cannot read.

use std::time::{Duration, Instant};

use redis::{Cmd, Value};

use super::{Store, within};
use crate::shared::StoreFault;
use crate::shared::script::{SESSION, StoreKey};

/// What is wanted of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SessionCall<'a> {
    /// It begins, and lives so long unless it is read.
    Begin(&'a str, Duration),
    /// Its content; it lives so long from now on.
    Read(Duration),
    /// Its content becomes this, if it is still there, and nobody renews it any more.
    Change(&'a str, Duration),
    /// Its content, and whether nobody but the caller renews it for so long.
    Lock(Duration),
    /// Nobody renews it.
    Unlock,
    /// It ends.
    End,
}

/// The content of a session, and whether the caller may renew it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) content: Vec<u8>,
    pub(crate) locked: bool,
}

impl SessionCall<'_> {
    fn fill(&self, command: &mut Cmd) {
        let (what, content, time) = match *self {
            SessionCall::Begin(content, time) => ("begin", content, time),
            SessionCall::Read(time) => ("read", "", time),
            SessionCall::Change(content, time) => ("change", content, time),
            SessionCall::Lock(time) => ("lock", "", time),
            SessionCall::Unlock => ("unlock", "", Duration::ZERO),
            SessionCall::End => ("end", "", Duration::ZERO),
        };
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        command.arg(what).arg(content).arg(time);
    }
}

impl Store {
    /// Works with the session of this key: nothing where there is none. It takes no longer than the
    /// store's time.
    ///
    /// # Errors
    /// When the store does not answer. What was wanted may have been done all the same.
    pub(crate) async fn session(
        &self,
        key: StoreKey,
        call: SessionCall<'_>,
    ) -> Result<Option<Found>, StoreFault> {
        let link = self.link();
        if !self.breaker.is_closed() {
            self.metrics.failed(StoreFault::Skipped);
            return Err(StoreFault::Skipped);
        }
        let fill = |command: &mut Cmd| {
            command.arg(1).arg(key.name(&format!("{}:session", link.spec().prefix)));
            call.fill(command);
        };
        let started = Instant::now();
        let called = within(link.spec().timeout, self.call(&link, &SESSION, fill)).await;
        let answer = called.unwrap_or(Err(StoreFault::Timeout)).and_then(read);
        self.note(&link, started, answer)
    }
}

fn read(answer: Value) -> Result<Option<Found>, StoreFault> {
    match answer {
        Value::Nil | Value::Boolean(false) => Ok(None),
        Value::BulkString(content) => Ok(Some(Found { content, locked: false })),
        Value::Array(parts) => match <[Value; 2]>::try_from(parts) {
            Ok([Value::BulkString(content), Value::Int(locked)]) => {
                Ok(Some(Found { content, locked: locked == 1 }))
            }
            _ => Err(StoreFault::Other),
        },
        _ => Err(StoreFault::Other),
    }
}
