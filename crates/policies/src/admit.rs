//! Asks all policies of a request. Either every one of them lets it pass, or none has counted it:
//! what those before a refusal had counted is given back.

mod applying;
mod stores;

use std::time::Duration;

use portcullis_config::model::{OnFailure, Policy};
use portcullis_wire::Fields;

use crate::fields::{self, Told};
use crate::key::{Facts, Missed};
use crate::limit::Verdict;
use crate::policy::{Now, Rule, Running, Take};
use crate::seats::{Seat, WaitingTurn};
use crate::table::Key;
pub use applying::{Applying, MOST_GROUPS};
use stores::InStore;

/// What policies said of a request, in memory that is used again for the next.
#[derive(Debug, Default)]
pub struct Work {
    asked: Vec<Asked>,
    /// Some of them limit how many requests are under way.
    seats: bool,
    /// The key of a request while it becomes a hash.
    text: Vec<u8>,
    /// The keys of the request as stores know them, one behind the other.
    keys: Vec<u8>,
    /// What was done because a store did not answer.
    without: Option<OnFailure>,
}

/// What one policy said.
#[derive(Debug, Clone, Copy)]
struct Asked {
    place: (usize, usize),
    key: Key,
    cost: u32,
    take: Option<Take>,
    verdict: Verdict,
    /// It has, or waits for, a seat.
    seated: bool,
    /// What a store counts for it.
    in_store: Option<InStore>,
    /// The verdict is known, and clients are told.
    told: bool,
}

/// A request that may not pass.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'s> {
    /// The policy that refuses it.
    pub running: &'s Running,
    /// Why.
    pub why: Why,
}

/// Why a request may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A rate limit has been reached.
    Rate,
    /// A quota has been used up.
    Quota,
    /// Too many requests are under way.
    Concurrency,
    /// A part of the key is missing.
    Key,
}

/// A request that may pass later.
#[derive(Debug)]
pub struct Later<'s> {
    delay: Duration,
    turns: Vec<WaitingTurn<'s>>,
    now: Now,
}

impl Work {
    /// Forgets the request and keeps the memory.
    pub fn clear(&mut self) {
        self.asked.clear();
        self.seats = false;
        self.keys.clear();
        self.without = None;
    }

    /// Asks all policies. Takes `seats` where concurrency is limited; the request is under way as
    /// long as they are held. Gives what must be waited for, if anything.
    ///
    /// # Errors
    /// The policy that does not let it pass. Nothing has been counted then.
    pub fn admit<'s>(
        &mut self,
        applying: Applying<'s>,
        facts: &impl Facts,
        now: Now,
        worker: usize,
        seats: &mut Vec<Seat<'s>>,
    ) -> Result<Option<Later<'s>>, Refusal<'s>> {
        self.clear();
        let result = self.ask(applying, facts, now, worker, seats);
        if let Err(refusal) = &result {
            self.refused(applying, refusal, now, worker, seats);
        }
        result
    }

    fn ask<'s>(
        &mut self,
        applying: Applying<'s>,
        facts: &impl Facts,
        now: Now,
        worker: usize,
        seats: &mut Vec<Seat<'s>>,
    ) -> Result<Option<Later<'s>>, Refusal<'s>> {
        for (layer, policies) in applying.layers().iter().enumerate() {
            for (at, running) in policies.iter().enumerate() {
                if layer == 0 || !applying.is_replaced(layer, running) {
                    self.note((layer, at), running, facts, now, worker)?;
                }
            }
        }
        let mut later: Option<Later<'s>> = None;
        for asked in &mut self.asked {
            let running = applying.at(asked.place);
            let Rule::Count(counter) = &running.rule else { continue };
            let counted = running.counted();
            if let (Some(in_store), Some(shared)) = (&mut asked.in_store, &counter.shared) {
                let ask = in_store.ask(&self.keys, asked.key, asked.cost, now);
                let Some(verdict) = shared.try_take(&ask) else {
                    in_store.pending = true;
                    later.get_or_insert_with(|| Later::none(now));
                    continue;
                };
                (in_store.counted, in_store.at) = (verdict.allowed, now.steady);
                asked.told = true;
                asked.verdict = verdict;
                if !verdict.allowed {
                    return Err(Refusal { running, why: why(running) });
                }
                if counter.counts_here_too() {
                    asked.take = counter.take(counted, asked.key, asked.cost, now).0;
                }
                continue;
            }
            let (take, verdict) = counter.take(counted, asked.key, asked.cost, now);
            (asked.take, asked.verdict) = (take, verdict);
            if !verdict.allowed {
                return Err(Refusal { running, why: why(running) });
            }
            if verdict.wait > 0 {
                let turn = counter.wait(counted);
                let turn = turn.ok_or(Refusal { running, why: why(running) })?;
                later.get_or_insert_with(|| Later::none(now)).wait(verdict.wait, turn);
            }
        }
        // Who has to wait before takes a seat afterwards.
        if later.is_none() && self.seats {
            later = self.sit(applying, seats, now)?;
        }
        if later.is_none() {
            self.passed(applying, worker);
        }
        Ok(later)
    }

    /// Notes whom a policy counts the request for, and how much it costs.
    fn note<'s>(
        &mut self,
        place: (usize, usize),
        running: &'s Running,
        facts: &impl Facts,
        now: Now,
        worker: usize,
    ) -> Result<(), Refusal<'s>> {
        let key = match running.key(facts, &mut self.text) {
            Ok(key) => key,
            Err(Missed::Refuse) => return Err(Refusal { running, why: Why::Key }),
            Err(Missed::Unlimited) => {
                running.counted().metrics.shard(worker).unlimited.add(1);
                return Ok(());
            }
        };
        let (mut cost, mut in_store) = (1, None);
        match &running.rule {
            Rule::Seats(_) => self.seats = true,
            Rule::Count(counter) => {
                cost = counter.cost(facts);
                if counter.shared.is_some() {
                    let from = self.keys.len();
                    running.write_shared_key(facts, &mut self.keys);
                    in_store = Some(InStore::new((from, self.keys.len()), counter.limit(now)));
                }
            }
        }
        let verdict = Verdict { allowed: true, wait: 0, remaining: 0, reset: 0 };
        let told = in_store.is_none();
        self.asked.push(Asked {
            place,
            key,
            cost,
            take: None,
            verdict,
            seated: false,
            in_store,
            told,
        });
        Ok(())
    }

    /// Takes seats. Gives what must be waited for, if anything.
    fn sit<'s>(
        &mut self,
        applying: Applying<'s>,
        seats: &mut Vec<Seat<'s>>,
        now: Now,
    ) -> Result<Option<Later<'s>>, Refusal<'s>> {
        for asked in &mut self.asked {
            let running = applying.at(asked.place);
            let Rule::Seats(rule) = &running.rule else { continue };
            match rule.take(running.counted(), asked.key) {
                Some((seat, free)) => {
                    seats.push(seat);
                    asked.verdict.remaining = free.into();
                    asked.seated = true;
                }
                // Seats are taken in one order, so that no two requests wait for each other.
                None if rule.has_queue() => return Ok(Some(Later::none(now))),
                None => return Err(Refusal { running, why: Why::Concurrency }),
            }
        }
        Ok(None)
    }

    /// Waits until the request may pass.
    ///
    /// # Errors
    /// The policy that does not let it pass after all. Nothing has been counted then.
    pub async fn wait<'s>(
        &mut self,
        mut later: Later<'s>,
        applying: Applying<'s>,
        worker: usize,
        seats: &mut Vec<Seat<'s>>,
    ) -> Result<(), Refusal<'s>> {
        let now = later.now;
        self.ask_stores(applying, &mut later, now).await?;
        if !later.delay.is_zero() {
            tokio::time::sleep(later.delay).await;
        }
        drop(later.turns);
        for asked in self.asked.iter_mut().filter(|asked| !asked.seated) {
            let running = applying.at(asked.place);
            let Rule::Seats(rule) = &running.rule else { continue };
            let counted = running.counted();
            let seated = match rule.take(counted, asked.key) {
                Some(seated) => Ok(seated),
                None if rule.has_queue() => {
                    asked.verdict.wait = 1;
                    rule.queue(counted, asked.key).await
                }
                None => Err(crate::seats::NoSeat),
            };
            let Ok((seat, free)) = seated else {
                return Err(Refusal { running, why: Why::Concurrency });
            };
            seats.push(seat);
            asked.verdict.remaining = free.into();
            asked.seated = true;
        }
        self.passed(applying, worker);
        Ok(())
    }

    /// Counts a request that passes.
    fn passed(&self, applying: Applying<'_>, worker: usize) {
        for asked in &self.asked {
            let series = applying.at(asked.place).counted().metrics.shard(worker);
            series.allowed.add(1);
            if asked.verdict.wait > 0 {
                series.delayed.add(1);
            }
        }
    }

    /// Gives back everything for a request that does not pass, and counts the refusal.
    pub fn refused<'s>(
        &mut self,
        applying: Applying<'s>,
        refusal: &Refusal<'s>,
        now: Now,
        worker: usize,
        seats: &mut Vec<Seat<'s>>,
    ) {
        self.give_back(applying, now, seats);
        refusal.running.counted().metrics.shard(worker).refused.add(1);
    }

    /// Gives back everything for a request that does not pass.
    pub fn give_back<'s>(&mut self, applying: Applying<'s>, now: Now, seats: &mut Vec<Seat<'s>>) {
        seats.clear();
        for asked in &mut self.asked {
            let running = applying.at(asked.place);
            if let Some(take) = asked.take.take() {
                take.give_back(running.counted(), asked.key, asked.cost, now.steady);
            }
            if let (Some(in_store), Rule::Count(counter)) = (&mut asked.in_store, &running.rule)
                && std::mem::take(&mut in_store.counted)
                && let Some(shared) = &counter.shared
            {
                let ask = in_store.ask(&self.keys, asked.key, asked.cost, now);
                shared.give_back(&ask, in_store.at, asked.verdict.reset);
            }
        }
    }

    /// Adds to the reply what clients are told of a request that passes.
    pub fn tell(&self, applying: Applying<'_>, out: &mut Fields) {
        let told = self
            .asked
            .iter()
            .filter(|asked| asked.told)
            .map(|asked| Told { words: &applying.at(asked.place).words, verdict: asked.verdict });
        fields::write(told, out);
    }

    /// Adds to the reply what clients are told of a request that is refused: of every policy what
    /// is left, and when all that count would let it pass.
    pub fn tell_refused(
        &mut self,
        applying: Applying<'_>,
        refusal: &Refusal<'_>,
        now: Now,
        out: &mut Fields,
    ) {
        if refusal.why == Why::Key {
            return;
        }
        let mut retry = 0;
        for asked in &mut self.asked {
            let running = applying.at(asked.place);
            let counted = running.counted();
            let verdict = &mut asked.verdict;
            match &running.rule {
                // What the store said is all that is known.
                Rule::Count(_) if asked.in_store.is_some() => {
                    if !verdict.allowed {
                        retry = retry.max(verdict.reset);
                    }
                }
                Rule::Count(counter) => {
                    *verdict = counter.look(counted, asked.key, asked.cost, now);
                    if verdict.allowed && verdict.wait == 0 {
                        *verdict = counter.look(counted, asked.key, 0, now);
                    } else {
                        // With no room to wait in, the end of the wait is when it might pass.
                        verdict.reset = if verdict.allowed { verdict.wait } else { verdict.reset };
                        retry = retry.max(verdict.reset);
                    }
                }
                Rule::Seats(rule) => {
                    verdict.remaining = rule.free(counted, asked.key).into();
                    verdict.reset = 0;
                }
            }
        }
        self.tell(applying, out);
        fields::write_retry_after(retry, out);
    }
}

impl<'s> Later<'s> {
    fn none(now: Now) -> Later<'s> {
        Later { delay: Duration::ZERO, turns: Vec::new(), now }
    }

    /// Has the request wait for so many nanoseconds at least.
    fn wait(&mut self, nanos: u64, turn: WaitingTurn<'s>) {
        self.delay = self.delay.max(Duration::from_nanos(nanos));
        self.turns.push(turn);
    }
}

fn why(running: &Running) -> Why {
    match running.policy {
        Policy::RateLimit(_) => Why::Rate,
        Policy::Quota(_) => Why::Quota,
        Policy::Concurrency(_) => Why::Concurrency,
    }
}

#[cfg(test)]
mod tests;
