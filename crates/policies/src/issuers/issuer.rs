//! One issuer: its keys as workers see them, and the task that keeps them fresh.

use std::path::PathBuf;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use portcullis_config::model::{self, KeyOrigin, Name};
use portcullis_jose::{KeyError, KeySet, KeySetLimits};
use portcullis_wire::tls::TlsError;
use tokio::sync::{Notify, watch};

use super::disk::{self, Kept};
use super::fetch::{Fetched, fetch};
use super::schedule::{ASKED_APART, Schedule, milliseconds};
use crate::calls::Caller;
use crate::registry::lock;

/// Most requests that wait for one issuer's keys at a time.
const MOST_WAITING: usize = 1024;

/// An issuer and its keys. All workers share it.
#[derive(Debug)]
pub struct Issuer {
    spec: Arc<model::Issuer>,
    keys: Arc<Published>,
}

/// What is published of an issuer's keys. It stays the same as long as they come from the same
/// place, whatever else is configured anew.
#[derive(Debug)]
struct Published {
    current: Mutex<Option<Arc<Keys>>>,
    /// The number of the current keys; 0 as long as there are none.
    generation: AtomicU64,
    /// When the last fetch ended, in milliseconds since `began`, plus one; 0 before the first.
    last_ended: AtomicU64,
    fetching: AtomicBool,
    /// A key is wanted that is not there.
    asked: AtomicBool,
    wanted: Notify,
    /// Counts the fetches that have ended.
    rounds: watch::Sender<u64>,
    waiting: AtomicUsize,
    /// When the keys in use were fetched, in seconds since 1970; 0 as long as there are none.
    fetched: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    began: Instant,
}

/// Keys that are in use.
#[derive(Debug)]
pub struct Keys {
    /// The keys.
    pub set: KeySet,
    /// Their number: no other keys, of any issuer, have it. Never 0.
    pub generation: u64,
    /// The digest of the document that they were fetched in; empty if they were not.
    document: Box<[u8]>,
}

impl Keys {
    fn is(&self, document: &[u8]) -> bool {
        *self.document == *document
    }
}

/// Why an issuer cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("the issuer `{issuer}` cannot be used: {why}")]
pub struct IssuerError {
    /// Its name.
    pub issuer: Name,
    why: Why,
}

#[derive(Debug, thiserror::Error)]
enum Why {
    #[error("{0}")]
    Tls(#[from] TlsError),
    #[error("{0}")]
    Key(#[from] KeyError),
    #[error("none of its keys can be used")]
    NoKeys,
}

/// What the task needs that tends an issuer.
#[derive(Debug)]
pub(super) struct Tended {
    caller: Caller,
}

/// A fetch that is to end soon.
#[derive(Debug)]
pub struct Round {
    rounds: watch::Receiver<u64>,
    published: Arc<Published>,
}

impl Round {
    /// Waits for its end, at most so long.
    pub async fn ended(mut self, longest: Duration) {
        let _ = tokio::time::timeout(longest, self.rounds.changed()).await;
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        self.published.waiting.fetch_sub(1, AcqRel);
    }
}

impl Issuer {
    /// An issuer that nobody tends yet. Keys of `before` are kept if they come from the same place.
    pub(super) fn prepare(
        spec: &Arc<model::Issuer>,
        before: Option<&Arc<Issuer>>,
    ) -> Result<(Arc<Issuer>, Option<Tended>), IssuerError> {
        let error = |why: Why| IssuerError { issuer: spec.name.clone(), why };
        if spec.keys.address().is_some() {
            let caller = Caller::new(&spec.tls).map_err(|why| error(why.into()))?;
            let same = |issuer: &&Arc<Issuer>| {
                issuer.spec.issuer == spec.issuer && issuer.spec.keys == spec.keys
            };
            let keys = before.filter(same).map(|issuer| Arc::clone(&issuer.keys));
            let keys = keys.unwrap_or_else(|| Arc::new(Published::new()));
            let issuer = Issuer { spec: Arc::clone(spec), keys };
            return Ok((Arc::new(issuer), Some(Tended { caller })));
        }
        let set = written(spec).map_err(|why| error(why.into()))?;
        if set.is_empty() {
            return Err(error(Why::NoKeys));
        }
        let keys = Arc::new(Published::new());
        keys.publish(set, &[], unix_now());
        Ok((Arc::new(Issuer { spec: Arc::clone(spec), keys }), None))
    }

    /// As configured.
    #[must_use]
    pub fn spec(&self) -> &Arc<model::Issuer> {
        &self.spec
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.spec.name
    }

    /// The number of its current keys; 0 as long as there are none. Reading it costs a load.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.keys.generation.load(Acquire)
    }

    /// Its current keys. Takes a lock for a moment: only for when the generation has changed.
    #[must_use]
    pub fn keys(&self) -> Option<Arc<Keys>> {
        lock(&self.keys.current).clone()
    }

    /// Asks for newer keys. If a fetch is on its way, or may begin now, it gives what to wait for;
    /// otherwise one follows as soon as it may.
    #[must_use]
    pub fn ask(&self) -> Option<Round> {
        self.spec.keys.address()?;
        let published = &self.keys;
        let rounds = published.rounds.subscribe();
        if !published.asked.swap(true, AcqRel) {
            published.wanted.notify_one();
        }
        if !published.fetching.load(Acquire) && !published.may_fetch() {
            return None;
        }
        if published.waiting.fetch_add(1, AcqRel) >= MOST_WAITING {
            published.waiting.fetch_sub(1, AcqRel);
            return None;
        }
        Some(Round { rounds, published: Arc::clone(published) })
    }

    /// When its keys were fetched, in seconds since 1970; nothing as long as there are none.
    #[must_use]
    pub fn fetched(&self) -> Option<u64> {
        Some(self.keys.fetched.load(Relaxed)).filter(|fetched| *fetched > 0)
    }

    /// Fetches that succeeded, and that failed.
    #[must_use]
    pub fn fetches(&self) -> (u64, u64) {
        (self.keys.succeeded.load(Relaxed), self.keys.failed.load(Relaxed))
    }

    /// Keeps the keys fresh until `gone` says that nobody needs it any more.
    pub(super) async fn tend(
        self: Arc<Self>,
        tended: Tended,
        folder: Option<PathBuf>,
        mut gone: watch::Receiver<()>,
    ) {
        if self.generation() == 0 {
            self.take_from_disk(folder.as_deref());
        }
        let published = &self.keys;
        let mut schedule = Schedule::new(self.spec.refresh);
        loop {
            let due = published.began + Duration::from_millis(schedule.due());
            tokio::select! {
                _ = gone.changed() => return,
                () = published.wanted.notified() => {
                    if published.asked.load(Acquire) {
                        schedule.ask();
                    }
                    continue;
                }
                () = tokio::time::sleep_until(due.into()) => {}
            }
            published.fetching.store(true, Release);
            let done = tokio::select! {
                _ = gone.changed() => None,
                done = fetch(&tended.caller, &self.spec) => Some(done),
            };
            let good = match done {
                None => false,
                Some(Ok(fetched)) => {
                    self.keep(folder.as_deref(), &fetched.document);
                    self.adopt(fetched);
                    published.succeeded.fetch_add(1, Relaxed);
                    true
                }
                Some(Err(error)) => {
                    tracing::warn!(issuer = &**self.name(), "keys cannot be fetched: {error}");
                    published.failed.fetch_add(1, Relaxed);
                    false
                }
            };
            published.end_round();
            schedule.ended(milliseconds(published.began.elapsed()), good);
        }
    }

    /// Puts fetched keys to use; the very same ones are left as they are, and with them whatever
    /// was verified with them.
    fn adopt(&self, fetched: Fetched) {
        let Fetched { set, document } = fetched;
        let digest = digest(&SHA256, &document);
        if lock(&self.keys.current).as_ref().is_some_and(|keys| keys.is(digest.as_ref())) {
            self.keys.fetched.store(unix_now(), Relaxed);
            return;
        }
        for skipped in set.skipped() {
            let kid = skipped.kid.as_deref().unwrap_or("without a name");
            let place = skipped.index;
            tracing::debug!(
                issuer = &**self.name(),
                "key {place} ({kid}) is not used: {}",
                skipped.why
            );
        }
        self.keys.publish(set, digest.as_ref(), unix_now());
    }

    fn take_from_disk(&self, folder: Option<&std::path::Path>) {
        let Some(folder) = folder else { return };
        match disk::read(folder, &self.spec) {
            Ok(Some(Kept { set, fetched })) => self.keys.publish(set, &[], fetched),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(issuer = &**self.name(), "kept keys cannot be read: {error}");
            }
        }
    }

    fn keep(&self, folder: Option<&std::path::Path>, document: &[u8]) {
        let Some(folder) = folder else { return };
        if let Err(error) = disk::write(folder, &self.spec, document, unix_now()) {
            tracing::warn!(issuer = &**self.name(), "keys cannot be kept on disk: {error}");
        }
    }
}

impl Published {
    fn new() -> Published {
        Published {
            current: Mutex::new(None),
            generation: AtomicU64::new(0),
            last_ended: AtomicU64::new(0),
            fetching: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            wanted: Notify::new(),
            rounds: watch::channel(0).0,
            waiting: AtomicUsize::new(0),
            fetched: AtomicU64::new(0),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            began: Instant::now(),
        }
    }

    fn publish(&self, set: KeySet, document: &[u8], fetched: u64) {
        let generation = next_generation();
        let keys = Keys { set, generation, document: document.into() };
        *lock(&self.current) = Some(Arc::new(keys));
        self.fetched.store(fetched.max(1), Relaxed);
        // Workers that see the number find the keys behind the lock.
        self.generation.store(generation, Release);
    }

    /// Whether the next fetch may be at once.
    fn may_fetch(&self) -> bool {
        let last = self.last_ended.load(Acquire);
        let now = milliseconds(self.began.elapsed()) + 1;
        last == 0 || now.saturating_sub(last) >= milliseconds(ASKED_APART)
    }

    fn end_round(&self) {
        self.last_ended.store(milliseconds(self.began.elapsed()) + 1, Release);
        self.fetching.store(false, Release);
        self.asked.store(false, Release);
        self.rounds.send_modify(|rounds| *rounds += 1);
    }
}

/// The keys that stand in a configuration.
fn written(spec: &model::Issuer) -> Result<KeySet, KeyError> {
    match &spec.keys {
        KeyOrigin::Set(text) => {
            let limits =
                KeySetLimits { bytes: spec.max_size, keys: spec.max_keys, symmetric: true };
            KeySet::from_jwks(text, limits)
        }
        KeyOrigin::Pem(text) => KeySet::from_pem(text),
        KeyOrigin::Secret(secret) => KeySet::from_secret(secret.reveal().as_bytes(), None),
        KeyOrigin::Discovery(_) | KeyOrigin::Address(_) => Ok(KeySet::default()),
    }
}

/// Numbers key sets of all issuers.
fn next_generation() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    NUMBERS.fetch_add(1, Relaxed)
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
