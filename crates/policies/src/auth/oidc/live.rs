//! Sessions as requests use them, and what a worker remembers of them, so that a cookie that comes
//! again is not opened again.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use portcullis_config::model;
use portcullis_jose::{Claims, Value, VerifiedCache};

use super::session::Session;
use crate::auth::claims;
use crate::identity::Granted;

/// Sessions that a worker remembers for one policy, and their memory.
const MOST_REMEMBERED: usize = 10_000;
const MOST_MEMORY: usize = 64 << 20;

/// A session, and who it says that calls.
#[derive(Debug)]
pub(crate) struct Live {
    pub(super) session: Arc<Session>,
    /// It was sealed with an old secret.
    pub(super) outdated: bool,
    pub(super) claims: Claims,
    pub(super) granted: Arc<Granted>,
    pub(super) subject: Box<str>,
    pub(super) consumer: Option<Box<str>>,
}

impl Live {
    /// Nothing if the session says nothing that can be read.
    pub(super) fn new(
        session: Arc<Session>,
        outdated: bool,
        written: &model::Oidc,
    ) -> Option<Arc<Live>> {
        let claims = session.claims()?;
        let mut granted = claims::granted(&claims, &written.roles);
        granted
            .scopes
            .extend(session.scope.split(' ').filter(|word| !word.is_empty()).map(Box::from));
        let consumer = written.consumer.as_ref().and_then(|(path, _)| claims.at(path));
        Some(Arc::new(Live {
            outdated,
            granted: Arc::new(granted),
            subject: claims::subject(&claims),
            consumer: consumer.and_then(Value::as_str).map(Box::from),
            claims,
            session,
        }))
    }

    /// Bytes that it takes.
    fn memory(&self) -> usize {
        let Session { id_token, user_info, access_token, refresh_token, scope, .. } =
            &*self.session;
        let texts = [id_token, user_info, access_token, refresh_token, scope];
        self.claims.memory()
            + self.granted.memory()
            + texts.map(String::len).iter().sum::<usize>()
            + size_of::<Live>()
    }
}

/// What a worker remembers of sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    /// The fields `Cookie` of the request that is looked at, in memory that is used again.
    pub(super) line: Vec<u8>,
    slots: Vec<Slot>,
}

/// What is remembered for one policy.
#[derive(Debug)]
struct Slot {
    id: u64,
    policy: Weak<()>,
    cache: VerifiedCache<Arc<Live>>,
}

/// What names a policy to workers.
#[derive(Debug)]
pub(super) struct Place {
    id: u64,
    /// Held for as long as the policy is in use.
    here: Arc<()>,
}

impl Place {
    pub(super) fn new() -> Place {
        static IDS: AtomicU64 = AtomicU64::new(0);
        Place { id: IDS.fetch_add(1, Relaxed), here: Arc::default() }
    }
}

impl Sessions {
    /// The session that was opened of this text. Another generation forgets all of the policy's.
    pub(super) fn find(
        &mut self,
        place: &Place,
        sealed: &[u8],
        generation: u64,
        now: u64,
    ) -> Option<Arc<Live>> {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        self.slot(place).cache.get(sealed, generation, now).cloned()
    }

    /// Remembers a session until a time in seconds since 1970.
    pub(super) fn keep(
        &mut self,
        place: &Place,
        sealed: &[u8],
        generation: u64,
        until: u64,
        live: &Arc<Live>,
    ) {
        let until = i64::try_from(until).unwrap_or(i64::MAX);
        let cache = &mut self.slot(place).cache;
        cache.insert(sealed, generation, until, live.memory(), Arc::clone(live));
    }

    fn slot(&mut self, place: &Place) -> &mut Slot {
        let at = self.slots.iter().position(|slot| slot.id == place.id).unwrap_or_else(|| {
            // What belongs to policies that are gone goes when a new one comes.
            self.slots.retain(|slot| slot.policy.strong_count() > 0);
            self.slots.push(Slot {
                id: place.id,
                policy: Arc::downgrade(&place.here),
                cache: VerifiedCache::new(MOST_REMEMBERED, MOST_MEMORY),
            });
            self.slots.len() - 1
        });
        &mut self.slots[at]
    }
}
