//! Quotas on disk: an SQLite database in the folder for state. What was counted is written down once
//! a second by a thread of its own, so that no request waits for a disk; whatever kills the process
//! loses at most that second.

mod database;

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use thiserror::Error;

use self::database::{Database, Row};
use crate::limit::{Spent, Written};
use crate::registry::{Counted, lock};

/// How often quotas are written down.
const INTERVAL: Duration = Duration::from_secs(1);
/// How often those of periods that have ended are taken out, in intervals.
const CLEAN_EVERY: u32 = 600;
/// How long the end waits for the last counts to be written.
const LAST: Duration = Duration::from_secs(5);

/// Why quotas cannot be kept.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The folder cannot be made.
    #[error("the folder for state cannot be made: {0}")]
    Folder(#[source] std::io::Error),
    /// The database cannot be used.
    #[error("the database of quotas cannot be used: {0}")]
    Database(#[from] rusqlite::Error),
    /// The thread cannot be started.
    #[error("the thread that writes quotas cannot be started: {0}")]
    Thread(#[source] std::io::Error),
}

/// Where quotas are written down.
#[derive(Debug)]
pub struct QuotaStore {
    seed: (u64, u64),
    shared: Arc<Shared>,
    orders: Sender<SyncSender<()>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    database: Mutex<Database>,
    quotas: Mutex<Vec<Weak<Counted>>>,
    errors: AtomicU64,
}

impl QuotaStore {
    /// Opens the database in `folder`, which is made if it is not there, and begins to write. What
    /// is made only this user can read: the secret that keys are hashed with is in it.
    ///
    /// # Errors
    /// The folder or the database cannot be used.
    pub fn open(folder: &Path) -> Result<QuotaStore, StoreError> {
        let path = folder.join("quotas.db");
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(StoreError::Folder)?;
        // SQLite gives its other files the rights of this one. If it is no file, SQLite says so.
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        drop(made);
        let mut database = Database::open(&path)?;
        let seed = database.seed()?;
        let shared = Arc::new(Shared {
            database: Mutex::new(database),
            quotas: Mutex::default(),
            errors: AtomicU64::new(0),
        });
        let (orders, ordered) = channel::<SyncSender<()>>();
        let writer = Arc::clone(&shared);
        let run = move || {
            let mut rounds = 0u32;
            loop {
                let order = match ordered.recv_timeout(INTERVAL) {
                    Ok(done) => Some(done),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return writer.write(),
                };
                writer.write();
                rounds = rounds.wrapping_add(1);
                if rounds.is_multiple_of(CLEAN_EVERY) {
                    writer.clean();
                }
                if let Some(done) = order {
                    let _ = done.send(());
                }
            }
        };
        let thread = std::thread::Builder::new().name("quotas".into()).spawn(run);
        let thread = Mutex::new(Some(thread.map_err(StoreError::Thread)?));
        Ok(QuotaStore { seed, shared, orders, thread })
    }

    /// What keys are hashed with, so that they are found again.
    pub(crate) fn seed(&self) -> (u64, u64) {
        self.seed
    }

    /// Reads what a quota had counted, and writes it down from now on.
    pub(crate) fn begin(&self, counted: &Arc<Counted>) {
        let name = counted.id.to_string();
        let rows = lock(&self.shared.database).read(&name, minute());
        match rows {
            Ok(rows) => rows.iter().for_each(|row| merge(counted, row)),
            Err(error) => self.shared.failed("read", &error),
        }
        lock(&self.shared.quotas).push(Arc::downgrade(counted));
    }

    /// Writes what has changed; waits for it, but not for ever.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.orders.send(done).is_ok() {
            let _ = wait.recv_timeout(LAST);
        }
    }

    /// How often the database could not be read or written.
    pub fn errors(&self) -> u64 {
        self.shared.errors.load(Relaxed)
    }
}

impl Drop for QuotaStore {
    fn drop(&mut self) {
        self.flush();
        let (orders, _) = channel();
        drop(std::mem::replace(&mut self.orders, orders));
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn write(&self) {
        let quotas: Vec<Arc<Counted>> = {
            let mut quotas = lock(&self.quotas);
            quotas.retain(|quota| quota.strong_count() > 0);
            quotas.iter().filter_map(Weak::upgrade).collect()
        };
        for quota in quotas {
            let rows = fresh(&quota);
            if rows.is_empty() {
                continue;
            }
            let written = lock(&self.database).write(&quota.id.to_string(), &rows);
            match written {
                // Another process, such as the one that gives way to this one, may know of more.
                Ok(stored) => stored.iter().for_each(|row| merge(&quota, row)),
                Err(error) => {
                    self.failed("written", &error);
                    rows.iter().for_each(|row| again(&quota, row));
                }
            }
        }
    }

    fn clean(&self) {
        if let Err(error) = lock(&self.database).clean(minute()) {
            self.failed("cleaned", &error);
        }
    }

    fn failed(&self, what: &str, error: &rusqlite::Error) {
        if self.errors.fetch_add(1, Relaxed) == 0 {
            tracing::error!(%error, "quotas cannot be {what}; they go on in memory");
        } else {
            tracing::debug!(%error, "quotas cannot be {what}");
        }
    }
}

/// What has changed since it was last asked for.
fn fresh(quota: &Counted) -> Vec<Row> {
    let is_fresh = |state: u128| Spent::of(state).written != Written::Same;
    let changed = quota.table.iter().filter(|(_, state)| is_fresh(*state));
    let mut rows = Vec::new();
    for (key, _) in changed {
        // What comes in from here on is fresh again.
        let mut row = None;
        quota.table.change_known(key, |state| {
            let Spent { end, count, written } = Spent::of(state);
            row = Some(Row { key, end, count, written });
            Spent { end, count, written: Written::Same }.state()
        });
        rows.extend(row);
    }
    rows
}

/// Has a row written the next time.
fn again(quota: &Counted, row: &Row) {
    quota.table.change_known(row.key, |state| {
        let spent = Spent::of(state);
        let written = match (row.written, spent.written) {
            // What was given back must not come back, whatever was counted since.
            (Written::Never, _) => Written::Never,
            (Written::More, _) | (_, Written::More) => Written::More,
            _ => Written::Less,
        };
        Spent { written, ..spent }.state()
    });
}

/// Counts at least what a row says.
fn merge(quota: &Counted, row: &Row) {
    let worth = |state: u128| Spent::of(state).count;
    let _ = quota.table.change(row.key, worth, |state| {
        let spent = Spent::of(state);
        let known = spent.end > row.end || (spent.end == row.end && spent.count >= row.count);
        let stored = Spent { end: row.end, count: row.count, written: Written::Same };
        ((!known).then(|| stored.state()), ())
    });
}

/// The minute that it is, since 1970.
fn minute() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs() / 60).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
