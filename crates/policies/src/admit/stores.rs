//! Policies that count in a store: first from what this node holds, and only where that does not do,
//! by asking the store, for all of them at once.

use std::time::Instant;

use portcullis_config::model::OnFailure;

use super::{Applying, Later, Refusal, Work, why};
use crate::clock::nanos;
use crate::limit::{Limit, Verdict};
use crate::policy::{Now, Rule};
use crate::shared::{Answer, Ask, Shared, take_all};
use crate::table::Key;

/// How long a client is told to wait where a policy is closed because its store does not answer, in
/// nanoseconds.
const CLOSED: u64 = 1_000_000_000;

/// What is counted in a store for a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct InStore {
    /// Where its key is among the keys of the request.
    key: (usize, usize),
    limit: Limit,
    /// The store is to be asked.
    pub(super) pending: bool,
    /// It has been counted, and is given back if the request does not pass.
    pub(super) counted: bool,
}

impl InStore {
    pub(super) fn new(key: (usize, usize), limit: Limit) -> InStore {
        InStore { key, limit, pending: false, counted: false }
    }

    pub(super) fn ask<'a>(&self, keys: &'a [u8], local: Key, cost: u32, now: Now) -> Ask<'a> {
        let (from, to) = self.key;
        let key = keys.get(from..to).unwrap_or_default();
        Ask { key, local, limit: self.limit, cost, now: now.steady }
    }
}

impl Work {
    /// Asks the stores that are still to be asked.
    ///
    /// # Errors
    /// The first policy that does not let the request pass.
    pub(super) async fn ask_stores<'s>(
        &mut self,
        applying: Applying<'s>,
        later: &mut Later<'s>,
        now: Now,
    ) -> Result<(), Refusal<'s>> {
        let mut asks: Vec<(&Shared, Ask<'_>)> = Vec::new();
        for asked in &self.asked {
            let Some(in_store) = asked.in_store.filter(|in_store| in_store.pending) else {
                continue;
            };
            let Rule::Count(counter) = &applying.at(asked.place).rule else { continue };
            let Some(shared) = counter.shared.as_deref() else { continue };
            asks.push((shared, in_store.ask(&self.keys, asked.key, asked.cost, now)));
        }
        if asks.is_empty() {
            return Ok(());
        }
        let mut answers = take_all(&asks).await.into_iter();
        // What is counted here is counted now: it may have taken a while.
        let now = Now { steady: nanos(Instant::now()), ..now };
        let mut refusal = None;
        for asked in &mut self.asked {
            let Some(in_store) = asked.in_store.as_mut().filter(|in_store| in_store.pending) else {
                continue;
            };
            let running = applying.at(asked.place);
            let Rule::Count(counter) = &running.rule else { continue };
            let Some(Answer { told, counted }) = answers.next() else { break };
            (in_store.pending, in_store.counted) = (false, counted);
            asked.verdict = match told {
                Ok(verdict) => {
                    if counted && counter.counts_here_too() {
                        asked.take = counter.take(running.counted(), asked.key, asked.cost, now).0;
                    }
                    asked.told = true;
                    verdict
                }
                Err(without) => {
                    self.without = Some(without);
                    match without {
                        OnFailure::Open => {
                            Verdict { allowed: true, wait: 0, remaining: 0, reset: 0 }
                        }
                        OnFailure::Closed => {
                            Verdict { allowed: false, wait: 0, remaining: 0, reset: CLOSED }
                        }
                        OnFailure::Local => {
                            asked.told = true;
                            let counted = running.counted();
                            let (take, verdict) = counter.take(counted, asked.key, asked.cost, now);
                            asked.take = take;
                            verdict
                        }
                    }
                }
            };
            if refusal.is_some() {
                continue;
            }
            if !asked.verdict.allowed {
                refusal = Some(Refusal { running, why: why(running) });
            } else if asked.verdict.wait > 0 {
                match counter.wait(running.counted()) {
                    Some(turn) => later.wait(asked.verdict.wait, turn),
                    None => refusal = Some(Refusal { running, why: why(running) }),
                }
            }
        }
        refusal.map_or(Ok(()), Err)
    }

    /// What was done because a store did not answer, if that was so.
    #[must_use]
    pub fn without_store(&self) -> Option<OnFailure> {
        self.without
    }
}
