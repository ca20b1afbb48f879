//! One issuer: its keys as workers see them, and the task that keeps them fresh.

use std::path::{Path, PathBuf};
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
use super::metadata::Metadata;
use super::schedule::{ASKED_APART, Schedule, milliseconds};
use crate::calls::Caller;
use crate::oauth::Way;
use crate::registry::lock;

/// Most requests that wait for one issuer's keys at a time.
const MOST_WAITING: usize = 1024;

/// An issuer and its keys. All workers share it; it stays the same when it is configured anew.
#[derive(Debug)]
pub struct Issuer {
    name: Name,
    current: Mutex<Arc<View>>,
    /// The number of the current view.
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
    introspected: [AtomicU64; IntrospectionResult::ALL.len()],
    began: Instant,
    about: Mutex<(Option<Arc<Metadata>>, Option<Caller>)>,
}

/// An issuer at one time.
#[derive(Debug)]
pub struct View {
    /// As configured.
    pub spec: Arc<model::Issuer>,
    /// Its keys; none as long as they could not be fetched.
    pub set: Option<Arc<KeySet>>,
    /// The number of this view: later ones, of any issuer, have higher ones.
    pub generation: u64,
    /// What else it says of itself; none as long as it could not be asked.
    pub(crate) metadata: Option<Arc<Metadata>>,
    /// What calls it, where it is called at all.
    pub(crate) caller: Option<Caller>,
    /// The digest of the document that the keys were fetched in; empty if they were not.
    document: Box<[u8]>,
}

impl View {
    /// How it is called; nothing as long as it cannot be.
    pub(crate) fn way(&self) -> Option<Way<'_>> {
        let model::Issuer { max_size, timeout, .. } = &*self.spec;
        Some(Way { caller: self.caller.as_ref()?, most: *max_size, timeout: *timeout })
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

/// What came of asking an issuer about a token (RFC 7662).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntrospectionResult {
    /// It is active.
    Active,
    /// It is not, or cannot be used here.
    Inactive,
    /// There was no answer that says so.
    Failed,
}

impl IntrospectionResult {
    /// Every one, by position.
    pub const ALL: [IntrospectionResult; 3] =
        [IntrospectionResult::Active, IntrospectionResult::Inactive, IntrospectionResult::Failed];

    /// Its name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            IntrospectionResult::Active => "active",
            IntrospectionResult::Inactive => "inactive",
            IntrospectionResult::Failed => "failed",
        }
    }
}

/// What an issuer is to become: its configuration, and where its keys are to come from.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) spec: Arc<model::Issuer>,
    pub(super) source: Source,
}

/// Where keys come from.
#[derive(Debug)]
pub(super) enum Source {
    /// They are fetched.
    Fetched(Caller),
    /// They stand in the configuration.
    Written(Arc<KeySet>),
}

impl Change {
    /// May read the system's certificate authorities.
    pub(super) fn new(spec: &Arc<model::Issuer>) -> Result<Change, IssuerError> {
        let error = |why: Why| IssuerError { issuer: spec.name.clone(), why };
        let source = if spec.keys.address().is_some() {
            Source::Fetched(Caller::new(&spec.tls).map_err(|why| error(why.into()))?)
        } else {
            let set = written(spec).map_err(|why| error(why.into()))?;
            if set.is_empty() {
                return Err(error(Why::NoKeys));
            }
            Source::Written(Arc::new(set))
        };
        Ok(Change { spec: Arc::clone(spec), source })
    }
}

/// A fetch that is to end soon.
#[derive(Debug)]
pub struct Round {
    rounds: watch::Receiver<u64>,
    issuer: Arc<Issuer>,
}

impl Round {
    /// Waits for its end, at most so long.
    pub async fn ended(mut self, longest: Duration) {
        let _ = tokio::time::timeout(longest, self.rounds.changed()).await;
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        self.issuer.waiting.fetch_sub(1, AcqRel);
    }
}

impl Issuer {
    /// An issuer whose keys nobody has fetched yet.
    pub(super) fn new(spec: &Arc<model::Issuer>) -> Issuer {
        let view = View {
            spec: Arc::clone(spec),
            set: None,
            generation: next_generation(),
            metadata: None,
            caller: None,
            document: Box::default(),
        };
        Issuer {
            name: spec.name.clone(),
            generation: AtomicU64::new(view.generation),
            current: Mutex::new(Arc::new(view)),
            last_ended: AtomicU64::new(0),
            fetching: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            wanted: Notify::new(),
            rounds: watch::channel(0).0,
            waiting: AtomicUsize::new(0),
            fetched: AtomicU64::new(0),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            introspected: Default::default(),
            began: Instant::now(),
            about: Mutex::default(),
        }
    }

    /// Goes over to another configuration. Fetched keys stay if they come from the same place.
    pub(super) fn change(&self, spec: &Arc<model::Issuer>, written: Option<&Arc<KeySet>>) {
        let view = self.view();
        let same = view.spec.issuer == spec.issuer && view.spec.keys == spec.keys;
        match written {
            Some(set) => {
                // Nobody fetches its keys, and yet it may be asked about tokens.
                lock(&self.about).1 = Caller::new(&spec.tls).ok();
                self.publish(spec, Some(Arc::clone(set)), Box::default());
                self.fetched.store(unix_now(), Relaxed);
            }
            None if same => self.publish(spec, view.set.clone(), view.document.clone()),
            None => {
                self.fetched.store(0, Relaxed);
                self.last_ended.store(0, Release);
                self.publish(spec, None, Box::default());
            }
        }
    }

    /// Its name in the configuration.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The number of the current view. Reading it costs a load.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Acquire)
    }

    /// How it is now. Takes a lock for a moment: only for when the generation has changed.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        Arc::clone(&lock(&self.current))
    }

    /// Whether there are keys.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        self.fetched.load(Relaxed) > 0
    }

    /// Asks for newer keys. If a fetch is on its way, or may begin now, it gives what to wait for;
    /// otherwise one follows as soon as it may.
    #[must_use]
    pub fn ask(self: &Arc<Self>) -> Option<Round> {
        self.view().spec.keys.address()?;
        let rounds = self.rounds.subscribe();
        if !self.asked.swap(true, AcqRel) {
            self.wanted.notify_one();
        }
        if !self.fetching.load(Acquire) && !self.may_fetch() {
            return None;
        }
        if self.waiting.fetch_add(1, AcqRel) >= MOST_WAITING {
            self.waiting.fetch_sub(1, AcqRel);
            return None;
        }
        Some(Round { rounds, issuer: Arc::clone(self) })
    }

    /// Tells when a fetch has ended.
    pub(crate) fn rounds(&self) -> watch::Receiver<u64> {
        self.rounds.subscribe()
    }

    /// When its keys were fetched, in seconds since 1970; nothing as long as there are none.
    #[must_use]
    pub fn fetched(&self) -> Option<u64> {
        Some(self.fetched.load(Relaxed)).filter(|fetched| *fetched > 0)
    }

    /// Fetches that succeeded, and that failed.
    #[must_use]
    pub fn fetches(&self) -> (u64, u64) {
        (self.succeeded.load(Relaxed), self.failed.load(Relaxed))
    }

    /// Counts what came of asking it about a token.
    pub(crate) fn introspected(&self, result: IntrospectionResult) {
        self.introspected[result as usize].fetch_add(1, Relaxed);
    }

    /// How often it was asked about tokens, by what came of it.
    #[must_use]
    pub fn introspections(&self) -> [u64; IntrospectionResult::ALL.len()] {
        self.introspected.each_ref().map(|count| count.load(Relaxed))
    }

    /// Keeps the keys fresh until `gone` says that nobody needs it any more.
    pub(super) async fn tend(
        self: Arc<Self>,
        spec: Arc<model::Issuer>,
        caller: Caller,
        folder: Option<PathBuf>,
        mut gone: watch::Receiver<()>,
    ) {
        let folder = folder.as_deref();
        lock(&self.about).1 = Some(caller.clone());
        if !self.has_keys() {
            self.take_from_disk(&spec, folder);
        }
        let mut schedule = Schedule::new(spec.refresh);
        loop {
            let due = self.began + Duration::from_millis(schedule.due());
            tokio::select! {
                _ = gone.changed() => return,
                () = self.wanted.notified() => {
                    if self.asked.load(Acquire) {
                        schedule.ask();
                    }
                    continue;
                }
                () = tokio::time::sleep_until(due.into()) => {}
            }
            self.fetching.store(true, Release);
            let fetched = tokio::select! {
                _ = gone.changed() => None,
                fetched = fetch(&caller, &spec) => Some(fetched),
            };
            let good = match fetched {
                None => {
                    self.end_round();
                    return;
                }
                Some(Ok(fetched)) => {
                    self.keep(&spec, folder, &fetched.document);
                    self.adopt(&spec, fetched);
                    self.succeeded.fetch_add(1, Relaxed);
                    true
                }
                Some(Err(error)) => {
                    tracing::warn!(issuer = &*self.name, "keys cannot be fetched: {error}");
                    self.failed.fetch_add(1, Relaxed);
                    false
                }
            };
            self.end_round();
            schedule.ended(milliseconds(self.began.elapsed()), good);
        }
    }

    /// Puts fetched keys to use; the very same ones are left as they are, and with them whatever
    /// was verified with them.
    fn adopt(&self, spec: &Arc<model::Issuer>, fetched: Fetched) {
        let Fetched { set, document, metadata } = fetched;
        let metadata = metadata.map(Arc::new);
        let told = metadata != self.view().metadata;
        lock(&self.about).0 = metadata;
        let document: Box<[u8]> = digest(&SHA256, &document).as_ref().into();
        if self.view().document != document || told {
            for skipped in set.skipped() {
                let kid = skipped.kid.as_deref().unwrap_or("without a name");
                let (place, why) = (skipped.index, &skipped.why);
                tracing::info!(issuer = &*self.name, "key {place} ({kid}) is not used: {why}");
            }
            self.publish(spec, Some(Arc::new(set)), document);
        }
        self.fetched.store(unix_now(), Relaxed);
    }

    fn take_from_disk(&self, spec: &Arc<model::Issuer>, folder: Option<&Path>) {
        let Some(folder) = folder else { return };
        match disk::read(folder, spec) {
            Ok(Some(Kept { set, fetched })) => {
                self.publish(spec, Some(Arc::new(set)), Box::default());
                self.fetched.store(fetched.max(1), Relaxed);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(issuer = &*self.name, "kept keys cannot be read: {error}");
            }
        }
    }

    fn keep(&self, spec: &model::Issuer, folder: Option<&Path>, document: &[u8]) {
        let Some(folder) = folder else { return };
        if let Err(error) = disk::write(folder, spec, document, unix_now()) {
            tracing::warn!(issuer = &*self.name, "keys cannot be kept on disk: {error}");
        }
    }

    fn publish(&self, spec: &Arc<model::Issuer>, set: Option<Arc<KeySet>>, document: Box<[u8]>) {
        let mut current = lock(&self.current);
        let generation = next_generation();
        let (metadata, caller) = lock(&self.about).clone();
        let spec = Arc::clone(spec);
        *current = Arc::new(View { spec, set, generation, metadata, caller, document });
        // Workers that see the number find the view behind the lock.
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

/// Numbers views of all issuers.
fn next_generation() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(1);
    NUMBERS.fetch_add(1, Relaxed)
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
