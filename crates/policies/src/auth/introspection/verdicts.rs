//! What issuers have answered about tokens, by the digests of these: shared by all workers, bounded,
//! and asked once however many want to know.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;

use portcullis_jose::Claims;
use tokio::sync::watch;

use crate::registry::lock;

/// The digest of a token.
pub(super) type Key = [u8; 32];
/// Most answers that are remembered, and the memory of their claims in bytes.
const MOST: usize = 50_000;
const MOST_MEMORY: usize = 64 << 20;
/// Most tokens that are asked about at once.
const MOST_ASKED: usize = 512;

/// What is known of a token.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// It is active, and this was said of it; good until this second since 1970.
    Active {
        /// What was said.
        claims: Claims,
        /// The last second in which it may be remembered.
        until: i64,
    },
    /// It is not good.
    Inactive(&'static str),
    /// Nobody can tell now.
    Unavailable(&'static str),
}

/// What was answered.
#[derive(Debug, Default)]
pub(super) struct Verdicts(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    all: HashMap<Key, Entry>,
    asked: usize,
    memory: usize,
}

#[derive(Debug)]
enum Entry {
    Asked(watch::Receiver<Option<Verdict>>),
    Known { verdict: Verdict, until: i64 },
}

/// What a request has to do about a token.
#[derive(Debug)]
pub(super) enum Turn {
    /// Nothing: it is known.
    Known(Verdict),
    /// Wait for what another asks.
    Running(watch::Receiver<Option<Verdict>>),
    /// Ask.
    Mine(Pilot),
    /// Too many are asked about.
    Full,
}

/// Who asks. Dropped without an end, others may.
#[derive(Debug)]
pub(super) struct Pilot {
    verdicts: Arc<Mutex<Inner>>,
    key: Key,
    told: watch::Sender<Option<Verdict>>,
}

impl Verdicts {
    /// Asks whose turn it is. `now` is in seconds since 1970.
    pub(super) fn turn(&self, key: Key, now: i64) -> Turn {
        let mut inner = lock(&self.0);
        match inner.all.get(&key) {
            Some(Entry::Asked(waits)) => return Turn::Running(waits.clone()),
            Some(Entry::Known { verdict, until }) if *until > now => {
                return Turn::Known(verdict.clone());
            }
            _ => {}
        }
        if inner.asked >= MOST_ASKED {
            return Turn::Full;
        }
        inner.make_room(now);
        let (told, waits) = watch::channel(None);
        inner.put(key, Entry::Asked(waits));
        Turn::Mine(Pilot { verdicts: Arc::clone(&self.0), key, told })
    }
}

impl Inner {
    fn put(&mut self, key: Key, entry: Entry) {
        self.memory += entry.memory();
        self.asked += usize::from(entry.is_asked());
        if let Some(old) = self.all.insert(key, entry) {
            self.forget(&old);
        }
    }

    fn forget(&mut self, entry: &Entry) {
        self.memory -= entry.memory();
        self.asked -= usize::from(entry.is_asked());
    }

    /// Forgets what holds no more, and everything that nobody waits for if that is not enough: it is
    /// asked once more.
    fn make_room(&mut self, now: i64) {
        if self.all.len() < MOST && self.memory < MOST_MEMORY {
            return;
        }
        let fits =
            |all: &HashMap<Key, Entry>, memory| all.len() < MOST / 2 && memory < MOST_MEMORY / 2;
        self.all.retain(|_, entry| match entry {
            Entry::Asked(_) => true,
            Entry::Known { until, .. } => *until > now,
        });
        self.memory = self.all.values().map(Entry::memory).sum();
        if !fits(&self.all, self.memory) {
            self.all.retain(|_, entry| entry.is_asked());
            self.memory = 0;
        }
    }
}

impl Entry {
    fn memory(&self) -> usize {
        match self {
            Entry::Known { verdict: Verdict::Active { claims, .. }, .. } => claims.memory(),
            Entry::Known { .. } | Entry::Asked(_) => 0,
        }
    }

    fn is_asked(&self) -> bool {
        matches!(self, Entry::Asked(_))
    }
}

impl Pilot {
    /// What others are told as well.
    pub(super) fn listen(&self) -> watch::Receiver<Option<Verdict>> {
        self.told.subscribe()
    }

    /// Tells all, and remembers it until then.
    pub(super) fn end(self, verdict: Verdict, until: i64) {
        lock(&self.verdicts).put(self.key, Entry::Known { verdict: verdict.clone(), until });
        self.told.send_replace(Some(verdict));
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        let mut inner = lock(&self.verdicts);
        if inner.all.get(&self.key).is_some_and(Entry::is_asked)
            && let Some(entry) = inner.all.remove(&self.key)
        {
            inner.forget(&entry);
        }
    }
}

/// Waits for what another finds out.
pub(super) async fn told(mut waits: watch::Receiver<Option<Verdict>>) -> Verdict {
    let nobody = Verdict::Unavailable("whoever asked was stopped");
    match waits.wait_for(Option::is_some).await {
        Ok(verdict) => verdict.clone().unwrap_or(nobody),
        Err(_) => nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    }

    fn active(until: i64) -> Verdict {
        let claims = Claims::from_json(br#"{"active":true,"sub":"somebody"}"#).unwrap();
        Verdict::Active { claims, until }
    }

    #[test]
    fn one_asks_and_all_are_told() {
        let verdicts = Verdicts::default();
        let Turn::Mine(pilot) = verdicts.turn(key(1), 100) else { panic!() };
        let Turn::Running(other) = verdicts.turn(key(1), 100) else { panic!() };
        assert!(matches!(verdicts.turn(key(2), 100), Turn::Mine(_)));
        pilot.end(active(160), 160);
        assert!(matches!(&*other.borrow(), Some(Verdict::Active { until: 160, .. })));
        assert!(matches!(verdicts.turn(key(1), 159), Turn::Known(Verdict::Active { .. })));
        assert!(matches!(verdicts.turn(key(1), 160), Turn::Mine(_)));
    }

    #[test]
    fn who_stops_leaves_it_to_others_and_failures_are_not_remembered() {
        let verdicts = Verdicts::default();
        let Turn::Mine(pilot) = verdicts.turn(key(1), 100) else { panic!() };
        drop(pilot);
        let Turn::Mine(pilot) = verdicts.turn(key(1), 100) else { panic!() };
        pilot.end(Verdict::Unavailable("x"), 100);
        assert!(matches!(verdicts.turn(key(1), 100), Turn::Mine(_)));
        assert_eq!(lock(&verdicts.0).asked, 0);
    }

    #[test]
    fn what_is_asked_at_once_and_what_is_remembered_is_bounded() {
        let verdicts = Verdicts::default();
        let mut pilots = Vec::new();
        for number in 0..MOST_ASKED {
            let Turn::Mine(pilot) = verdicts.turn(key(number), 100) else { panic!() };
            pilots.push(pilot);
        }
        assert!(matches!(verdicts.turn(key(MOST_ASKED), 100), Turn::Full));
        pilots.clear();
        for number in 0..MOST * 2 {
            let Turn::Mine(pilot) = verdicts.turn(key(number), 100) else { panic!() };
            pilot.end(active(200), 200);
        }
        let inner = lock(&verdicts.0);
        assert!(inner.all.len() <= MOST && inner.memory <= MOST_MEMORY && inner.asked == 0);
        assert_eq!(inner.memory, inner.all.values().map(Entry::memory).sum::<usize>());
    }
}
