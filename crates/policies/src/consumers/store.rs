//! A store of consumers: read whole when it is opened, then followed by a thread of its own, which
//! brings what others have written into the index and writes down when keys were used.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use portcullis_config::model::Name;

use super::database::{ConsumerRow, Database, DatabaseError, StoredKey};
use super::index::{Index, Kept, expires};
use super::key::Prefix;
use crate::identity::Consumer;

/// How often others' changes are looked for.
const INTERVAL: Duration = Duration::from_millis(500);
/// How often the last uses of keys are written down, in intervals.
const WRITE_EVERY: u32 = 120;

/// How long the end waits for the last uses to be written.
const LAST: Duration = Duration::from_secs(5);

/// Consumers of a database, as workers read them.
#[derive(Debug)]
pub struct ConsumerStore {
    path: PathBuf,
    pub(crate) index: Arc<Index>,
    orders: Option<Sender<SyncSender<()>>>,
    thread: Option<JoinHandle<()>>,
}

/// What follows the database.
struct Follower {
    database: Database,
    index: Arc<Index>,
    interned: Interned,
    /// The last change that the index knows.
    change: i64,
    version: i64,
    /// Until when uses are written down.
    written: u32,
    failed: bool,
    /// When keys were used last that are not there any more.
    gone: Vec<(String, u32)>,
}

impl ConsumerStore {
    /// Opens the database at `path`, reads it, and begins to follow it.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn open(path: &Path) -> Result<ConsumerStore, DatabaseError> {
        let mut follower = Follower::open(path)?;
        let index = Arc::clone(&follower.index);
        let (orders, ordered) = channel::<SyncSender<()>>();
        let run = move || {
            let mut rounds = 0u32;
            loop {
                let order = ordered.recv_timeout(INTERVAL);
                follower.follow();
                rounds = rounds.wrapping_add(1);
                let waits = matches!(order, Err(RecvTimeoutError::Timeout));
                if !waits || rounds.is_multiple_of(WRITE_EVERY) {
                    follower.write_uses();
                }
                match order {
                    Ok(done) => drop(done),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name("consumers".into()).spawn(run).ok();
        if thread.is_none() {
            tracing::error!("no thread follows the store of consumers; its changes go unseen");
        }
        let path = path.to_owned();
        Ok(ConsumerStore { path, index, orders: Some(orders), thread })
    }

    /// Whether it is this database.
    #[must_use]
    pub fn is_at(&self, path: &Path) -> bool {
        self.path == *path
    }

    /// Writes down which keys were used; waits for it, but not for ever.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(0);
        if self.orders.as_ref().is_some_and(|orders| orders.send(done).is_ok()) {
            let _ = wait.recv_timeout(LAST);
        }
    }
}

impl Drop for ConsumerStore {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Follower {
    fn open(path: &Path) -> Result<Follower, DatabaseError> {
        let database = Database::open(path)?;
        // The numbers first: what is written from here on is read once more, and no harm done.
        let (version, change) = (database.version()?, database.last_change()?);
        let index = Arc::new(Index::default());
        let mut interned = Interned::default();
        let (many, keys) = database.counts()?;
        let mut consumers: Vec<(i64, Arc<Consumer>)> = Vec::with_capacity(many);
        database.consumers(i64::MIN, |row| {
            consumers.push((row.id, interned.consumer(row)));
        })?;
        consumers.sort_by_key(|(id, _)| *id);
        index.fill_names(consumers.iter().map(|(_, one)| Arc::clone(one)));
        database.all_keys(|rows| {
            let kept = rows.filter_map(|row| match row {
                Ok(row) => {
                    let at = consumers.binary_search_by_key(&row.consumer, |(id, _)| *id).ok()?;
                    Some(Ok(kept(&row, &consumers[at].1)))
                }
                Err(error) => Some(Err(error)),
            });
            index.fill_keys(kept, keys)
        })??;
        Ok(Follower {
            database,
            index,
            interned,
            change,
            version,
            written: 0,
            failed: false,
            gone: Vec::new(),
        })
    }

    /// Brings what others have written into the index.
    fn follow(&mut self) {
        match self.database.version() {
            Ok(version) if version == self.version => {}
            Ok(version) => match self.read() {
                Ok(()) => (self.version, self.failed) = (version, false),
                Err(error) => self.failed("read", &error),
            },
            Err(error) => self.failed("read", &error),
        }
    }

    fn read(&mut self) -> rusqlite::Result<()> {
        let change = self.database.last_change()?;
        let mut fresh: HashMap<i64, Arc<Consumer>> = HashMap::new();
        let since = self.change;
        let Follower { database, index, interned, gone, .. } = &mut *self;
        database.consumers(since, |row| {
            let id = row.id;
            let consumer = interned.consumer(row);
            index.put(&consumer);
            fresh.insert(id, consumer);
        })?;
        let mut keys: Vec<StoredKey> = Vec::new();
        database.changed_keys(since, |key| keys.push(key))?;
        for mut key in keys {
            let prefix = Prefix::new(key.prefix);
            // What has not been written down yet goes over, or is written for the last time.
            let used = index.key(prefix, |kept| Some(kept.used.load(Relaxed))).unwrap_or(0);
            if key.revoked {
                index.remove_key(prefix);
                gone.extend((used > 0).then(|| (prefix.to_string(), used)));
                continue;
            }
            key.used = key.used.max(used);
            let owner = match fresh.get(&key.consumer) {
                Some(owner) => Arc::clone(owner),
                None => match database.consumer(key.consumer)? {
                    Some(row) => {
                        let known = index.find(&row.name);
                        known.unwrap_or_else(|| interned.consumer(row))
                    }
                    None => continue,
                },
            };
            index.put_key(kept(&key, &owner));
        }
        self.change = change;
        Ok(())
    }

    /// Writes down which keys were used since the last time.
    fn write_uses(&mut self) {
        let mut uses: Vec<(String, u32)> = Vec::new();
        // Of the stretch that was written last more may have been used since.
        let since = self.written.saturating_sub(1);
        self.index.used_since(since, |prefix, used| uses.push((prefix.to_string(), used)));
        let newest = uses.iter().map(|(_, used)| *used).max().unwrap_or(self.written);
        uses.append(&mut self.gone);
        if uses.is_empty() {
            return;
        }
        match self.database.write_uses(&uses) {
            Ok(()) => self.written = newest,
            Err(error) => self.failed("written", &error),
        }
    }

    fn failed(&mut self, what: &str, error: &rusqlite::Error) {
        if !std::mem::replace(&mut self.failed, true) {
            tracing::error!(%error, "the store of consumers cannot be {what}; what is known goes on");
        } else {
            tracing::debug!(%error, "the store of consumers cannot be {what}");
        }
    }
}

fn kept(row: &StoredKey, owner: &Arc<Consumer>) -> Kept {
    Kept {
        prefix: Prefix::new(row.prefix),
        hash: row.hash,
        owner: Arc::clone(owner),
        expires: expires(row.expires),
        used: AtomicU32::new(row.used),
    }
}

/// Names that many consumers have in common, each kept once.
#[derive(Debug, Default)]
struct Interned {
    plans: HashMap<String, Name>,
    groups: HashMap<String, Arc<[Name]>>,
}

impl Interned {
    fn consumer(&mut self, row: ConsumerRow) -> Arc<Consumer> {
        let plan = row.plan.map(|plan| match self.plans.get(&plan) {
            Some(known) => Arc::clone(known),
            None => {
                let name: Name = plan.as_str().into();
                self.plans.insert(plan, Arc::clone(&name));
                name
            }
        });
        let groups = (!row.groups.is_empty()).then(|| match self.groups.get(&row.groups) {
            Some(known) => Arc::clone(known),
            None => {
                let groups: Arc<[Name]> = row.groups.split(',').map(Name::from).collect();
                self.groups.insert(row.groups, Arc::clone(&groups));
                groups
            }
        });
        Arc::new(Consumer { name: row.name, groups, plan, more: None })
    }
}
