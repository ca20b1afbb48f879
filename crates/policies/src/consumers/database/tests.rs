//! What a change costs, counted in steps of the database's machine and in rows; no clock is asked.

use rusqlite::StatementStatus;

use super::*;

type Change<'c> = &'c dyn Fn(&mut Database);

fn consumer(name: &str) -> NewConsumer {
    NewConsumer { name: name.to_owned(), ..NewConsumer::default() }
}

/// A database in memory with so many consumers, each with a key, and the number of the last change.
fn with(many: u32) -> (Database, i64) {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(TABLES).unwrap();
    let mut database = Database(connection);
    let all =
        (0..many).map(|number| (consumer(&format!("c{number}")), format!("{number:08}"), [7; 32]));
    database.import(all, 1).unwrap();
    let change = database.last_change().unwrap();
    (database, change)
}

/// The rows that a statement finds after `since`, and the steps that it takes.
fn work(database: &Database, query: &str, since: i64) -> (usize, i32) {
    let mut select = database.0.prepare(query).unwrap();
    let rows = select.query_map([since], |_| Ok(())).unwrap().count();
    assert_eq!(select.get_status(StatementStatus::FullscanStep), 0, "a whole table: {query}");
    (rows, select.get_status(StatementStatus::VmStep))
}

/// The work of following what `change` does to a database of so many consumers.
fn following(many: u32, change: impl Fn(&mut Database)) -> [(usize, i32); 2] {
    let (mut database, since) = with(many);
    change(&mut database);
    [CHANGED_CONSUMERS, CHANGED_KEYS].map(|query| work(&database, query, since))
}

#[test]
fn what_follows_a_change_costs_the_same_however_many_consumers_there_are() {
    let add = |database: &mut Database| {
        database.add_key(&consumer("late"), "late0000", &[8; 32], 2, None).unwrap();
    };
    let second = |database: &mut Database| {
        database.add_key(&consumer("c7"), "late0000", &[8; 32], 2, None).unwrap();
    };
    let revoke = |database: &mut Database| database.revoke("00000007", 2).unwrap();
    let changes: [(Change<'_>, [usize; 2]); 3] =
        [(&add, [1, 1]), (&second, [1, 2]), (&revoke, [0, 1])];
    for (change, rows) in changes {
        let few = following(100, change);
        let many = following(50_000, change);
        assert_eq!(few, many);
        assert_eq!(many.map(|(rows, _)| rows), rows);
    }
}
