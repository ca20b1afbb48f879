//! The database of consumers: its tables, and what is asked of them and written to them. The gateway
//! reads it; `portcullis key` writes it. Everything that changes is stamped with a number that counts
//! up, so that the gateway finds what is new without looking at the rest.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{
    Connection, OptionalExtension, Row, Statement, Transaction, TransactionBehavior, params,
};
use thiserror::Error;

/// How long another process may hold the database.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS change (number INTEGER NOT NULL);
    INSERT INTO change (number) SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM change);
    CREATE TABLE IF NOT EXISTS consumer (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        plan TEXT,
        groups TEXT NOT NULL DEFAULT '',
        changed INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS consumer_changed ON consumer (changed);
    CREATE TABLE IF NOT EXISTS key (
        prefix TEXT PRIMARY KEY,
        hash BLOB NOT NULL,
        consumer INTEGER NOT NULL REFERENCES consumer (id),
        created INTEGER NOT NULL,
        expires INTEGER,
        revoked INTEGER,
        changed INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS key_changed ON key (changed);
    CREATE INDEX IF NOT EXISTS key_consumer ON key (consumer);
    CREATE TABLE IF NOT EXISTS key_use (prefix TEXT PRIMARY KEY, used INTEGER NOT NULL) WITHOUT ROWID;
";

/// Consumers that have changed since then.
const CHANGED_CONSUMERS: &str = "SELECT id, name, plan, groups FROM consumer WHERE changed > ?1";

/// Keys that have changed since then, and those of consumers that have.
const CHANGED_KEYS: &str = "
    SELECT key.prefix, hash, consumer, expires, revoked, used FROM key
    LEFT JOIN key_use ON key_use.prefix = key.prefix
    WHERE key.changed > ?1
    OR (revoked IS NULL AND consumer IN (SELECT id FROM consumer WHERE consumer.changed > ?1))
";

/// Why the database cannot be used.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The database itself.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// Nobody has this name.
    #[error("there is no consumer `{0}` in the store")]
    NoConsumer(String),
    /// Nobody has this key.
    #[error("there is no key `pk_{0}` in the store")]
    NoKey(String),
}

/// What is written of a consumer.
#[derive(Debug, Clone, Default)]
pub struct NewConsumer {
    /// Its name.
    pub name: String,
    /// Its plan; with none, one that is there stays as it is.
    pub plan: Option<String>,
    /// Its groups; with none, those that are there stay.
    pub groups: Vec<String>,
}

/// A key as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its visible part.
    pub prefix: String,
    /// The consumer's name.
    pub consumer: String,
    /// When it was made, in seconds since 1970, as all times here.
    pub created: u64,
    /// Until when it is good.
    pub expires: Option<u64>,
    /// When it was revoked.
    pub revoked: Option<u64>,
    /// When it was used last, coarsely.
    pub used: Option<u64>,
}

/// A consumer as it is read.
#[derive(Debug)]
pub(super) struct ConsumerRow {
    pub(super) id: i64,
    pub(super) name: Box<str>,
    pub(super) plan: Option<String>,
    /// With commas between them.
    pub(super) groups: String,
}

/// A key as it is read.
#[derive(Debug)]
pub(super) struct StoredKey {
    pub(super) prefix: [u8; 8],
    pub(super) hash: [u8; 32],
    pub(super) consumer: i64,
    pub(super) expires: Option<u64>,
    pub(super) revoked: bool,
    pub(super) used: u32,
}

/// The database.
#[derive(Debug)]
pub struct Database(Connection);

impl Database {
    /// Opens the database, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn open(path: &Path) -> Result<Database, DatabaseError> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(TABLES)?;
        Ok(Database(connection))
    }

    /// Writes a key, and its consumer where that is not there or says something new.
    ///
    /// # Errors
    /// It cannot be written; a prefix that is there already is one reason.
    pub fn add_key(
        &mut self,
        consumer: &NewConsumer,
        prefix: &str,
        hash: &[u8; 32],
        created: u64,
        expires: Option<u64>,
    ) -> Result<(), DatabaseError> {
        let transaction = self.begin()?;
        let changed = stamp(&transaction)?;
        let id = put(&mut transaction.prepare(PUT_CONSUMER)?, consumer, changed)?;
        transaction.execute(
            "INSERT INTO key (prefix, hash, consumer, created, expires, changed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![prefix, hash, id, created, expires, changed],
        )?;
        Ok(transaction.commit()?)
    }

    /// Revokes a key. What was revoked before stays so.
    ///
    /// # Errors
    /// There is no such key, or it cannot be written.
    pub fn revoke(&mut self, prefix: &str, now: u64) -> Result<(), DatabaseError> {
        let transaction = self.begin()?;
        let changed = stamp(&transaction)?;
        let rows = transaction.execute(
            "UPDATE key SET revoked = coalesce(revoked, ?2), changed = ?3 WHERE prefix = ?1",
            params![prefix, now, changed],
        )?;
        if rows == 0 {
            return Err(DatabaseError::NoKey(prefix.to_owned()));
        }
        Ok(transaction.commit()?)
    }

    /// The keys of a consumer, or all of them, in the order in which they were made; up to `most`.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn keys(&self, consumer: Option<&str>, most: u32) -> Result<Vec<KeyRow>, DatabaseError> {
        let mut select = self.0.prepare(
            "SELECT key.prefix, consumer.name, created, expires, revoked, used
             FROM key JOIN consumer ON consumer.id = key.consumer
             LEFT JOIN key_use ON key_use.prefix = key.prefix
             WHERE ?1 IS NULL OR consumer.name = ?1 ORDER BY created, key.prefix LIMIT ?2",
        )?;
        let rows = select.query_map(params![consumer, most], |row| {
            Ok(KeyRow {
                prefix: row.get(0)?,
                consumer: row.get(1)?,
                created: row.get(2)?,
                expires: row.get(3)?,
                revoked: row.get(4)?,
                used: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Writes many consumers with a key each in one go: their names, prefixes and hashes.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn import(
        &mut self,
        all: impl Iterator<Item = (NewConsumer, String, [u8; 32])>,
        created: u64,
    ) -> Result<(), DatabaseError> {
        let transaction = self.begin()?;
        let changed = stamp(&transaction)?;
        {
            let mut consumers = transaction.prepare(PUT_CONSUMER)?;
            let mut insert = transaction.prepare(
                "INSERT INTO key (prefix, hash, consumer, created, changed)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for (consumer, prefix, hash) in all {
                let id = put(&mut consumers, &consumer, changed)?;
                insert.execute(params![prefix, hash, id, created, changed])?;
            }
        }
        Ok(transaction.commit()?)
    }

    /// A number that is another when another connection has written.
    pub(super) fn version(&self) -> rusqlite::Result<i64> {
        self.0.pragma_query_value(None, "data_version", |row| row.get(0))
    }

    /// The number of the last change.
    pub(super) fn last_change(&self) -> rusqlite::Result<i64> {
        self.0.query_row("SELECT number FROM change", [], |row| row.get(0))
    }

    /// How many consumers and keys there are, about.
    pub(super) fn counts(&self) -> rusqlite::Result<(usize, usize)> {
        let count = |table: &str| {
            let query = format!("SELECT count(*) FROM {table}");
            self.0.query_row(&query, [], |row| row.get::<_, usize>(0))
        };
        Ok((count("consumer")?, count("key")?))
    }

    /// Calls `each` with every consumer that has changed since then.
    pub(super) fn consumers(
        &self,
        since: i64,
        mut each: impl FnMut(ConsumerRow),
    ) -> rusqlite::Result<()> {
        let mut select = self.0.prepare(CHANGED_CONSUMERS)?;
        let mut rows = select.query([since])?;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(1)?.as_str()?.into();
            each(ConsumerRow { id: row.get(0)?, name, plan: row.get(2)?, groups: row.get(3)? });
        }
        Ok(())
    }

    /// The consumer of this number.
    pub(super) fn consumer(&self, id: i64) -> rusqlite::Result<Option<ConsumerRow>> {
        let read = |row: &Row<'_>| {
            let name: String = row.get(0)?;
            Ok(ConsumerRow { id, name: name.into(), plan: row.get(1)?, groups: row.get(2)? })
        };
        let mut select = self.0.prepare("SELECT name, plan, groups FROM consumer WHERE id = ?1")?;
        select.query_row([id], read).optional()
    }

    /// Gives every key that has changed since then to `each`, and those that are not revoked of
    /// consumers that have.
    pub(super) fn changed_keys(
        &self,
        since: i64,
        mut each: impl FnMut(StoredKey),
    ) -> rusqlite::Result<()> {
        let mut select = self.0.prepare(CHANGED_KEYS)?;
        let mut rows = select.query([since])?;
        while let Some(row) = rows.next()? {
            each(stored(row)?);
        }
        Ok(())
    }

    /// Calls `fill` with every key that is not revoked.
    pub(super) fn all_keys<R>(
        &self,
        fill: impl FnOnce(&mut dyn Iterator<Item = rusqlite::Result<StoredKey>>) -> R,
    ) -> rusqlite::Result<R> {
        let mut select = self.0.prepare(
            "SELECT key.prefix, hash, consumer, expires, revoked, used FROM key
             LEFT JOIN key_use ON key_use.prefix = key.prefix WHERE revoked IS NULL",
        )?;
        let mut rows = select.query_map([], stored)?;
        Ok(fill(&mut rows))
    }

    /// Writes when keys were used last.
    pub(super) fn write_uses(&mut self, uses: &[(String, u32)]) -> rusqlite::Result<()> {
        let transaction = self.begin()?;
        {
            let mut insert = transaction.prepare(
                "INSERT INTO key_use (prefix, used) VALUES (?1, ?2)
                 ON CONFLICT (prefix) DO UPDATE SET used = max(used, excluded.used)",
            )?;
            for (prefix, used) in uses {
                insert.execute(params![prefix, used])?;
            }
        }
        transaction.commit()
    }

    fn begin(&mut self) -> rusqlite::Result<Transaction<'_>> {
        self.0.transaction_with_behavior(TransactionBehavior::Immediate)
    }
}

/// The number of a change that begins.
fn stamp(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    let next = "UPDATE change SET number = number + 1 RETURNING number";
    transaction.query_row(next, [], |row| row.get(0))
}

/// Writes a consumer, or what is new of it. Gives its number.
const PUT_CONSUMER: &str = "
    INSERT INTO consumer (name, plan, groups, changed) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (name) DO UPDATE SET
        plan = coalesce(excluded.plan, plan),
        groups = CASE excluded.groups WHEN '' THEN groups ELSE excluded.groups END,
        changed = excluded.changed
    RETURNING id
";

fn put(
    statement: &mut Statement<'_>,
    consumer: &NewConsumer,
    changed: i64,
) -> rusqlite::Result<i64> {
    let NewConsumer { name, plan, groups } = consumer;
    statement.query_row(params![name, plan, groups.join(","), changed], |row| row.get(0))
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredKey> {
    let fixed = |at: usize, value: ValueRef<'_>| {
        let kind = value.data_type();
        let fault = move || rusqlite::Error::InvalidColumnType(at, "key".into(), kind);
        (kind, fault)
    };
    let (prefix, hash) = (row.get_ref(0)?, row.get_ref(1)?);
    let (_, bad_prefix) = fixed(0, prefix);
    let (_, bad_hash) = fixed(1, hash);
    Ok(StoredKey {
        prefix: prefix.as_str()?.as_bytes().try_into().map_err(|_| bad_prefix())?,
        hash: hash.as_blob()?.try_into().map_err(|_| bad_hash())?,
        consumer: row.get(2)?,
        expires: row.get(3)?,
        revoked: row.get::<_, Option<u64>>(4)?.is_some(),
        used: row.get::<_, Option<u32>>(5)?.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests;
