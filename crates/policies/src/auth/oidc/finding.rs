//! Finding the session that a request shows: opened from its cookie or read from the store, not over
//! yet, its tokens renewed ahead of their end.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use portcullis_core::LoginEvent;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep};

use super::flights::{Key, Lost, Renewed, Turn, told};
use super::live::{Live, Sessions};
use super::party::RelyingParty;
use super::session::Session;
use crate::shared::{SessionCall, Store, StoreKey};

/// How long a request waits before it looks again whether another gateway has renewed a session.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// What a lock in the store outlives the renewal by.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is tried to write a renewed session down.
const WRITES: usize = 10;
/// Characters of the name of a session in a cookie: 32 bytes.
const NAME: std::ops::RangeInclusive<usize> = 43..=43;

const SILENT: Lost = Lost::Unavailable("the store of sessions does not answer");

/// What came of looking for a session.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(super) found: Result<Arc<Live>, Lost>,
    /// Lines that set cookies.
    pub(super) cookies: Vec<String>,
}

impl Outcome {
    fn of(found: Result<Arc<Live>, Lost>) -> Outcome {
        Outcome { found, cookies: Vec::new() }
    }
}

impl RelyingParty {
    /// Opens a session that is wholly in a cookie, and that its worker may remember.
    pub(super) fn open_remembered(
        &self,
        value: &[u8],
        sessions: &mut Sessions,
        now: u64,
    ) -> Result<Arc<Live>, Lost> {
        let generation = self.issuer.generation();
        if let Some(live) = sessions.find(&self.place, value, generation, now) {
            return Ok(live);
        }
        let live = self.open(value)?;
        let until = self.ends(&live.session);
        self.check_age(&live.session, now)?;
        sessions.keep(&self.place, value, generation, until.saturating_sub(1), &live);
        Ok(live)
    }

    /// Opens a sealed session of this provider's.
    pub(super) fn open(&self, sealed: &[u8]) -> Result<Arc<Live>, Lost> {
        let opened = self.seals.open(&self.session_purpose, sealed);
        let opened = opened.ok_or(Lost::Gone("no session of ours"))?;
        let session = Session::read(&opened.plain).ok_or(Lost::Gone("no session of ours"))?;
        let live = Live::new(Arc::new(session), opened.outdated, &self.written);
        let live = live.ok_or(Lost::Gone("no session of ours"))?;
        // Somebody else may have become the provider of this name.
        if live.claims.issuer() != Some(&*self.issuer.view().spec.issuer) {
            return Err(Lost::Gone("a session of another provider"));
        }
        Ok(live)
    }

    pub(super) fn seal(&self, session: &Session) -> Option<String> {
        self.seals.seal(&self.session_purpose, &session.write())
    }

    /// When a session is over, in seconds since 1970.
    fn ends(&self, session: &Session) -> u64 {
        let kept = &self.written.session;
        let aged = session.began.saturating_add(kept.lifetime.as_secs());
        // A store knows itself when it was last asked for one.
        if self.store.is_some() {
            return aged;
        }
        aged.min(session.seen.saturating_add(kept.idle.as_secs()))
    }

    pub(super) fn check_age(&self, session: &Session, now: u64) -> Result<(), Lost> {
        if now >= self.ends(session) {
            return Err(Lost::Gone("the session is over"));
        }
        // What only the provider renews, and no refresh token came for, ends with its token.
        let forwarded = !session.access_token.is_empty() && session.refresh_token.is_empty();
        if forwarded && session.expires > 0 && now >= session.expires {
            return Err(Lost::Gone("the access token has expired"));
        }
        Ok(())
    }

    /// Whether the tokens are to be renewed now.
    pub(super) fn is_due(session: &Session, now: u64) -> bool {
        session.due > 0 && !session.refresh_token.is_empty() && now >= session.due
    }

    /// Cookies that keep a session alive that is used, and go over to another secret: not with every
    /// request, but often enough.
    pub(super) fn touch(&self, live: &Live, had: usize, now: u64) -> Vec<String> {
        let often = (self.written.session.idle.as_secs() / 10).clamp(1, 60);
        let mut cookies = Vec::new();
        if live.outdated || now.saturating_sub(live.session.seen) >= often {
            self.issue(&live.session.seen_at(now), had, &mut cookies);
        }
        cookies
    }

    /// Adds the cookies of a session. `false` where there can be none.
    pub(super) fn issue(&self, session: &Session, had: usize, cookies: &mut Vec<String>) -> bool {
        self.seal(session).is_some_and(|sealed| self.cookies.set(&sealed, had, cookies))
    }

    /// A session from a cookie, with new tokens.
    pub(super) async fn renew_cookie(
        self: Arc<Self>,
        live: Arc<Live>,
        had: usize,
        now: u64,
    ) -> Outcome {
        let renewed = match self.renewed(&live.session, now).await {
            Ok(session) => session,
            // It still holds for a while, and the next request asks again.
            Err(Lost::Unavailable(_)) if now < live.session.expires => {
                return Outcome { cookies: self.touch(&live, had, now), found: Ok(live) };
            }
            Err(lost) => return Outcome::of(Err(lost)),
        };
        if Arc::ptr_eq(&renewed, &live.session) {
            return Outcome { cookies: self.touch(&live, had, now), found: Ok(live) };
        }
        let mut cookies = Vec::new();
        if !self.issue(&renewed.seen_at(now), had, &mut cookies) {
            tracing::warn!(
                "a session does not fit into cookies any more: `session.store` has room"
            );
            return Outcome::of(Err(Lost::Gone("the session is too large for cookies")));
        }
        let live = Live::new(renewed, false, &self.written);
        Outcome { found: live.ok_or(Lost::Gone("no session of ours")), cookies }
    }

    /// A session from the store, with new tokens if it is time.
    pub(super) async fn find_in_store(self: Arc<Self>, name: &[u8], now: u64) -> Outcome {
        let (Some(store), Some(key)) = (&self.store, store_key(name)) else {
            return Outcome::of(Err(Lost::Gone("no session of ours")));
        };
        let call = SessionCall::Read(self.written.session.idle);
        let live = match store.session(key, call).await {
            Err(_) => Err(SILENT),
            Ok(None) => Err(Lost::Gone("the session is over")),
            Ok(Some(found)) => self.open(&found.content),
        };
        let live = match live.and_then(|live| self.check_age(&live.session, now).map(|()| live)) {
            Ok(live) if Self::is_due(&live.session, now) => live,
            found => return Outcome::of(found),
        };
        match self.renewed_in_store(&live.session, store, key, now).await {
            Ok(session) if Arc::ptr_eq(&session, &live.session) => Outcome::of(Ok(live)),
            Ok(session) => {
                let live = Live::new(session, false, &self.written);
                Outcome::of(live.ok_or(Lost::Gone("no session of ours")))
            }
            Err(Lost::Unavailable(_)) if now < live.session.expires => Outcome::of(Ok(live)),
            Err(lost) => Outcome::of(Err(lost)),
        }
    }

    /// The session with new tokens, whoever renews it. While they hold, only who renews them waits:
    /// others go on with the old ones.
    async fn renewed(self: &Arc<Self>, session: &Arc<Session>, now: u64) -> Renewed {
        let turn = self.logins.turn(flight_key(session), now);
        let party = Arc::clone(self);
        let old = Arc::clone(session);
        self.take_turn(turn, session, now, async move { party.renew(&old).await }).await
    }

    async fn renewed_in_store(
        self: &Arc<Self>,
        session: &Arc<Session>,
        store: &Arc<Store>,
        key: StoreKey,
        now: u64,
    ) -> Renewed {
        let turn = self.logins.turn(flight_key(session), now);
        let (party, store, old) = (Arc::clone(self), Arc::clone(store), Arc::clone(session));
        let renewing = async move { party.renew_in_store(old, &store, key).await };
        self.take_turn(turn, session, now, renewing).await
    }

    async fn take_turn(
        &self,
        turn: Turn,
        session: &Arc<Session>,
        now: u64,
        renewing: impl Future<Output = Renewed> + 'static,
    ) -> Renewed {
        match turn {
            Turn::Ended(renewed) => renewed,
            Turn::Running(_) if now < session.expires => Ok(Arc::clone(session)),
            Turn::Running(other) => told(other).await,
            Turn::Mine(pilot) => {
                let listen = pilot.listen();
                let logins = Arc::clone(&self.logins);
                // It goes on when whoever asked is gone: the old token may be of no more use.
                spawn_local(async move {
                    let renewed = renewing.await;
                    logins.counts.add(match &renewed {
                        Ok(_) => LoginEvent::Renewed,
                        Err(_) => LoginEvent::NotRenewed,
                    });
                    pilot.end(renewed, unix_now());
                });
                told(listen).await
            }
        }
    }

    /// Renews a session that other gateways may renew, too.
    async fn renew_in_store(&self, mut old: Arc<Session>, store: &Store, key: StoreKey) -> Renewed {
        let idle = self.written.session.idle;
        let longest = self.issuer.view().spec.timeout * 3 + GRACE;
        let end = Instant::now() + longest;
        loop {
            let found = store.session(key, SessionCall::Lock(longest)).await;
            let Some(found) = found.map_err(|_| SILENT)? else {
                return Err(Lost::Gone("the session is over"));
            };
            let newest = Arc::clone(&self.open(&found.content)?.session);
            let done = newest.refresh_token != old.refresh_token || newest.expires > old.expires;
            if found.locked && !done {
                old = newest;
                break;
            }
            if found.locked {
                let _ = store.session(key, SessionCall::Unlock).await;
            }
            if done {
                return Ok(newest);
            }
            if Instant::now() >= end {
                return Err(Lost::Unavailable("another gateway renews the session"));
            }
            sleep(LOOK_AGAIN).await;
        }
        match self.renew(&old).await {
            Ok(session) => {
                let sealed = self.seal(&session).ok_or(SILENT)?;
                for _ in 0..WRITES {
                    match store.session(key, SessionCall::Change(&sealed, idle)).await {
                        Ok(Some(_)) => return Ok(session),
                        Ok(None) => return Err(Lost::Gone("the session is over")),
                        // The old refresh token may be of no more use, so that this one is kept.
                        Err(_) => sleep(LOOK_AGAIN).await,
                    }
                }
                Ok(session)
            }
            Err(lost) => {
                let call = match lost {
                    Lost::Gone(_) => SessionCall::End,
                    Lost::Unavailable(_) => SessionCall::Unlock,
                };
                let _ = store.session(key, call).await;
                Err(lost)
            }
        }
    }
}

/// The key of a session by its name in a cookie. Whoever can read the store learns no name.
pub(super) fn store_key(name: &[u8]) -> Option<StoreKey> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    (NAME.contains(&name.len()) && name.iter().all(plain)).then(|| StoreKey::of(name))
}

fn flight_key(session: &Session) -> Key {
    let mut key = [0; 32];
    let whole = [&session.name[..], session.refresh_token.as_bytes()].concat();
    key.copy_from_slice(digest(&SHA256, &whole).as_ref());
    key
}

/// Seconds since 1970.
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
