//! Slows down whoever guesses: after so many credentials that are not good, an address has to wait
//! before any of its credentials is looked at again.

use std::hash::Hasher;
use std::net::IpAddr;

use portcullis_config::model::Guessing;
use siphasher::sip::SipHasher13;

use crate::key::Facts;
use crate::limit::{Bucket, Limit};
use crate::registry::random_seed;
use crate::table::{Key, Table};

/// Counts credentials that are not good, by the address that showed them.
#[derive(Debug)]
pub struct Guard {
    written: Guessing,
    table: Table,
    limit: Limit,
    seed: (u64, u64),
}

impl Guard {
    /// A guard that has seen nothing yet.
    #[must_use]
    pub fn new(written: &Guessing) -> Guard {
        let per = u64::try_from(written.per.as_nanos()).unwrap_or(u64::MAX);
        Guard {
            table: Table::new(written.clients),
            limit: Limit::Bucket(Bucket::new(written.failures, per, written.failures, 0)),
            seed: random_seed(),
            written: written.clone(),
        }
    }

    /// Whether it does what is written here.
    #[must_use]
    pub fn is(&self, written: &Guessing) -> bool {
        self.written == *written
    }

    /// Whether there is anybody to slow down.
    pub(super) fn has_any(&self) -> bool {
        self.table.used() > 0
    }

    /// For how long the client has to wait, in nanoseconds, if it does.
    pub(super) fn wait(&self, facts: &impl Facts, now: u64) -> Option<u64> {
        let (_, verdict) = self.limit.take(self.table.state(self.key(facts)?), now, 1);
        (!verdict.allowed).then_some(verdict.reset)
    }

    /// Counts a credential that is not good.
    pub(super) fn count(&self, facts: &impl Facts, now: u64) {
        let Some(key) = self.key(facts) else { return };
        let worth = |state| self.limit.worth(state, now);
        // In a table that is full of others nobody is slowed down more than they are.
        let _ = self.table.change(key, worth, |state| (self.limit.take(state, now, 1).0, ()));
    }

    /// The client's network: a household has as many IPv6 addresses as it likes. A client without
    /// an address cannot be told from others.
    fn key(&self, facts: &impl Facts) -> Option<Key> {
        let mut hasher = SipHasher13::new_with_keys(self.seed.0, self.seed.1);
        match facts.client()?.to_canonical() {
            IpAddr::V4(ip) => hasher.write_u32(ip.to_bits()),
            IpAddr::V6(ip) => hasher.write_u64((ip.to_bits() >> 64) as u64),
        }
        Some(Key::new(hasher.finish()))
    }
}
