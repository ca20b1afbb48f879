//! Services of one's own that are asked whether requests may pass: what they are told, what they
//! answer, and for how long that is remembered. One connection a call; whoever gives no answer that
//! can be read whole, in time, has given none.

mod memory;
mod question;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use portcullis_config::model;
use portcullis_core::{AuthzCounts, AuthzResult};
use portcullis_wire::Fields;

use crate::calls::{Call, Caller, Replied};
use crate::registry::{PolicyId, lock};
use memory::Memory;
pub use question::{About, Question, nominates, take_out};

/// One that is asked, as it runs.
#[derive(Debug)]
pub struct ExtAuthz {
    /// What it is named.
    pub id: PolicyId,
    /// As configured.
    pub written: Arc<model::ExtAuthz>,
    /// What was answered so far, under whatever configuration.
    pub counts: Arc<AuthzCounts>,
    /// None if what TLS is verified by is of no use.
    caller: Option<Caller>,
    under_way: AtomicUsize,
    /// What each worker remembers: no two of them take the same lock.
    remembered: Box<[Mutex<Memory>]>,
}

/// What it said of a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It may pass, and the service is told this.
    Pass(Arc<Fields>),
    /// It may not, and the client is told this.
    Deny(Arc<Denial>),
}

/// What a client is told whose request may not pass.
#[derive(Debug)]
pub struct Denial {
    /// 300 to 499.
    pub status: u16,
    /// Fields of the reply.
    pub fields: Fields,
    /// Its content.
    pub content: Vec<u8>,
}

/// Whose place among the calls under way it is.
struct Place<'a>(&'a AtomicUsize);

impl ExtAuthz {
    pub(crate) fn new(
        id: PolicyId,
        written: &Arc<model::ExtAuthz>,
        counts: Arc<AuthzCounts>,
        workers: usize,
    ) -> ExtAuthz {
        let caller = Caller::new(&written.tls);
        if let Err(error) = &caller {
            tracing::error!(policy = %id, "cannot be asked: {error}");
        }
        let memory = || {
            let size = written.cache.as_ref().map_or(0, |cache| cache.size.div_ceil(workers));
            Mutex::new(Memory::new(size))
        };
        ExtAuthz {
            id,
            written: Arc::clone(written),
            counts,
            caller: caller.ok(),
            under_way: AtomicUsize::new(0),
            remembered: (0..workers).map(|_| memory()).collect(),
        }
    }

    /// The answer to a question, remembered or asked for. `worker` remembers it.
    ///
    /// # Errors
    /// There is none; why, in words for the log alone.
    pub async fn answer(&self, question: &Question, worker: usize) -> Result<Answer, String> {
        let remembered = question.key.zip(self.remembered.get(worker));
        if let Some((key, memory)) = remembered
            && let Some(answer) = lock(memory).find(&key, Instant::now())
        {
            self.counts.add(AuthzResult::Remembered);
            return Ok(answer);
        }
        let Some(_place) = self.place() else {
            self.counts.add(AuthzResult::Full);
            return Err("too many calls are under way".to_owned());
        };
        let began = Instant::now();
        let answered = self.ask(question).await;
        let result = match &answered {
            Ok((Answer::Pass(_), _)) => AuthzResult::Allowed,
            Ok((Answer::Deny(_), _)) => AuthzResult::Denied,
            Err(_) => AuthzResult::Failed,
        };
        self.counts.called(result, began.elapsed());
        let (answer, may_stay) = answered?;
        if let (Some((key, memory)), Some(cache), true) =
            (remembered, &self.written.cache, may_stay)
        {
            lock(memory).keep(key, &answer, Instant::now() + cache.ttl);
        }
        Ok(answer)
    }

    fn place(&self) -> Option<Place<'_>> {
        let most = self.written.max_calls;
        let taken = |count: usize| (count < most).then_some(count + 1);
        self.under_way.fetch_update(Relaxed, Relaxed, taken).ok()?;
        Some(Place(&self.under_way))
    }

    /// Asks. Says as well whether the answer may be remembered.
    async fn ask(&self, question: &Question) -> Result<(Answer, bool), String> {
        let caller = self.caller.as_ref().ok_or("what TLS is verified by is of no use")?;
        let call = Call {
            method: "GET",
            url: &self.written.url,
            fields: &[],
            content: None,
            most: self.written.max_size,
            timeout: self.written.timeout,
        };
        let replied = caller.ask(&call, &question.fields).await;
        self.read(replied.map_err(|error| error.to_string())?)
    }

    fn read(&self, replied: Replied) -> Result<(Answer, bool), String> {
        let Replied { head, content } = replied;
        let said = |name: &[u8], wanted: &[u8]| {
            let parts = head.fields.all(name).flat_map(|value| value.split(|byte| *byte == b','));
            parts.map(<[u8]>::trim_ascii).any(|part| part.eq_ignore_ascii_case(wanted))
        };
        // What is set for one browser is not for another.
        let may_stay =
            !said(b"cache-control", b"no-store") && head.fields.all(b"set-cookie").next().is_none();
        let chosen = |names: &mut dyn Iterator<Item = &str>| {
            let mut chosen = Fields::default();
            for name in names {
                for value in head.fields.all(name.as_bytes()) {
                    chosen.push(name.as_bytes(), value);
                }
            }
            chosen
        };
        match head.status {
            200..=299 => {
                let mut names = self.written.to_upstream.iter().map(|name| &**name);
                Ok((Answer::Pass(Arc::new(chosen(&mut names))), may_stay))
            }
            // There is no 304 to somebody who has not asked whether something is new.
            300..=303 | 305..=499 => {
                let about = ["content-type", "content-encoding", "content-language"];
                let named = self.written.to_client.iter().map(|name| &**name);
                let others = named.filter(|name| !about.contains(name));
                let fields = chosen(&mut others.chain(about));
                let denial = Denial { status: head.status, fields, content };
                Ok((Answer::Deny(Arc::new(denial)), may_stay))
            }
            status => Err(format!("it answers with status {status}")),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
