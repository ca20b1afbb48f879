//! What is counted is found again.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU32;

use portcullis_config::model::Period;

use super::*;
use crate::registry::{Layout, PolicyId, Registry, Scope};
use crate::table::Key;
use crate::{Allowance, Limit};

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        let name = format!("portcullis-quotas-{}-{number}", std::process::id());
        Folder(std::env::temp_dir().join(name))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn quota(store: &Arc<QuotaStore>, name: &str) -> Arc<Counted> {
    let registry = Registry::new(1);
    registry.keep_quotas(Arc::clone(store));
    let id = PolicyId { scope: Scope::Global, kind: "quota", name: name.into() };
    registry.counts(id, Layout::Period(Period::Day), 100)
}

fn count(quota: &Counted, key: Key, count: u64, end: u32) {
    let state = Spent { end, count, written: Written::Never }.state();
    quota.table.change(key, |_| 0, |_| (Some(state), ())).unwrap();
}

#[test]
fn counts_and_seed_survive() {
    let folder = Folder::new();
    let (key, gone) = (Key::new(u64::MAX), Key::new(u64::MAX / 2));
    let end = minute() + 60;
    let store = Arc::new(QuotaStore::open(&folder.0).unwrap());
    let seed = store.seed();
    let one = quota(&store, "one");
    count(&one, key, 7, end);
    count(&one, gone, 9, minute() - 1);
    drop(store);

    let store = Arc::new(QuotaStore::open(&folder.0).unwrap());
    assert_eq!(store.seed(), seed);
    let one = quota(&store, "one");
    assert_eq!(Spent::of(one.table.state(key)), Spent { end, count: 7, written: Written::Same });
    assert_eq!(one.table.state(gone), 0);
    assert_eq!(quota(&store, "other").table.iter().count(), 0);
}

#[test]
fn two_processes_do_not_forget_each_others_counts() {
    let folder = Folder::new();
    let (key, end) = (Key::new(u64::MAX), minute() + 60);
    let old = Arc::new(QuotaStore::open(&folder.0).unwrap());
    let new = Arc::new(QuotaStore::open(&folder.0).unwrap());
    let (before, after) = (quota(&old, "q"), quota(&new, "q"));
    count(&before, key, 7, end);
    old.flush();
    count(&after, key, 3, end);
    new.flush();
    assert_eq!(Spent::of(after.table.state(key)).count, 7);
    // A new period begins anew.
    count(&after, key, 1, end + 60);
    new.flush();
    assert_eq!(Spent::of(after.table.state(key)).count, 1);
}

#[test]
fn what_is_given_back_does_not_come_back() {
    let folder = Folder::new();
    let (key, end) = (Key::new(u64::MAX), minute() + 60);
    let limit = Limit::Allowance(Allowance { limit: 10, end, left: 3_600_000_000_000 });
    let store = Arc::new(QuotaStore::open(&folder.0).unwrap());
    let one = quota(&store, "q");
    let take = || {
        let counted = one.table.change(key, |_| 0, |state| (limit.take(state, 0, 1).0, ()));
        counted.unwrap();
        one.table.state(key)
    };
    let stored =
        || Spent::of(quota(&Arc::new(QuotaStore::open(&folder.0).unwrap()), "q").table.state(key));
    take();
    // A request that waits is written down, and then refused by another policy.
    for _ in 0..5 {
        let after = take();
        store.flush();
        assert_eq!(stored().count, 2);
        one.table.change_known(key, |state| limit.give_back(state, after, 0, 1));
        store.flush();
        assert_eq!(Spent::of(one.table.state(key)).count, 1);
    }
    assert_eq!(stored().count, 1);
}

#[test]
fn nobody_else_reads_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let _store = QuotaStore::open(&folder.0).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder.0), mode(&folder.0.join("quotas.db"))), (0o700, 0o600));
}

#[test]
fn a_folder_that_cannot_be_is_an_error() {
    let folder = Folder::new();
    std::fs::write(&folder.0, b"").unwrap();
    assert!(matches!(QuotaStore::open(&folder.0), Err(StoreError::Folder(_))));
    std::fs::remove_file(&folder.0).unwrap();
    std::fs::create_dir_all(folder.0.join("quotas.db")).unwrap();
    assert!(matches!(QuotaStore::open(&folder.0), Err(StoreError::Database(_))));
}
