//! The tables of the database and what is asked of them.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::limit::Written;
use crate::registry::random_seed;
use crate::table::Key;

/// How long another process may hold the database.
const BUSY: Duration = Duration::from_secs(2);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS seed (one INTEGER NOT NULL, other INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS quota (
        policy TEXT NOT NULL,
        key INTEGER NOT NULL,
        ends INTEGER NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (policy, key)
    ) WITHOUT ROWID;
";

/// In the same period the higher count is the better one, for another process may have counted too;
/// unless this one has given something back (?5) of what it had written.
const WRITE: &str = "
    INSERT INTO quota (policy, key, ends, count) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (policy, key) DO UPDATE SET
        count = CASE WHEN ends = excluded.ends AND NOT ?5 THEN max(count, excluded.count)
                     ELSE excluded.count END,
        ends = excluded.ends
    WHERE ends <= excluded.ends
    RETURNING count
";

/// What was counted for a key in the period that ends at this minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) key: Key,
    pub(super) end: u32,
    pub(super) count: u64,
    pub(super) written: Written,
}

#[derive(Debug)]
pub(super) struct Database(Connection);

impl Database {
    pub(super) fn open(path: &Path) -> rusqlite::Result<Database> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        // A crash of the process loses nothing that was written; one of the machine may lose the
        // last moments, which are as many as are not written yet anyway.
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.execute_batch(TABLES)?;
        Ok(Database(connection))
    }

    /// The secret with which keys are hashed; made when the database is new.
    pub(super) fn seed(&mut self) -> rusqlite::Result<(u64, u64)> {
        let transaction =
            self.0.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
        let found = transaction.query_row("SELECT one, other FROM seed", [], read).optional()?;
        if let Some((one, other)) = found {
            return Ok((one.cast_unsigned(), other.cast_unsigned()));
        }
        let (one, other) = random_seed();
        let fresh = params![one.cast_signed(), other.cast_signed()];
        transaction.execute("INSERT INTO seed (one, other) VALUES (?1, ?2)", fresh)?;
        transaction.commit()?;
        Ok((one, other))
    }

    /// What a policy has counted in periods that end after this minute.
    pub(super) fn read(&self, policy: &str, minute: u32) -> rusqlite::Result<Vec<Row>> {
        let mut select =
            self.0.prepare("SELECT key, ends, count FROM quota WHERE policy = ?1 AND ends > ?2")?;
        let rows = select.query_map(params![policy, minute], |row| {
            let (key, end, count): (u64, u32, u64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Key::from_number(key).map(|key| Row { key, end, count, written: Written::Same }))
        })?;
        rows.filter_map(rusqlite::Result::transpose).collect()
    }

    /// Writes rows; gives those of which more is known than they say.
    pub(super) fn write(&mut self, policy: &str, rows: &[Row]) -> rusqlite::Result<Vec<Row>> {
        let transaction = self.0.transaction()?;
        let mut more = Vec::new();
        {
            let mut insert = transaction.prepare(WRITE)?;
            for row in rows {
                let given_back = row.written == Written::More;
                let values = params![policy, row.key.number(), row.end, row.count, given_back];
                let stored =
                    insert.query_row(values, |stored| stored.get::<_, u64>(0)).optional()?;
                if let Some(count) = stored.filter(|&count| count > row.count) {
                    more.push(Row { count, ..*row });
                }
            }
        }
        transaction.commit()?;
        Ok(more)
    }

    /// Takes out what belongs to periods that ended more than a day before this minute.
    pub(super) fn clean(&mut self, minute: u32) -> rusqlite::Result<()> {
        self.0.execute("DELETE FROM quota WHERE ends < ?1", [minute.saturating_sub(1440)])?;
        Ok(())
    }
}
