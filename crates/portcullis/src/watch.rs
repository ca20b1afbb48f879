//! Watching the files that a configuration was read from.
//!
//! Folders are watched rather than files: editors and configuration managers put a new file in an
//! old one's place, and Kubernetes swaps a link beside it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use portcullis_config::Format;
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};

/// How long it must be quiet after a change: a file is seldom written in one go, and half a file
/// may be a configuration too.
const SETTLE: Duration = Duration::from_millis(50);
/// Changes that never end are looked at after so long.
const SETTLE_AT_MOST: Duration = Duration::from_secs(2);

/// Tells when any of a set of files may have changed.
#[derive(Debug)]
pub(crate) struct Watch {
    watcher: Option<RecommendedWatcher>,
    folders: HashSet<PathBuf>,
    files: Arc<Mutex<Vec<PathBuf>>>,
    changes: mpsc::Receiver<()>,
    sender: mpsc::Sender<()>,
}

impl Watch {
    /// A watch over nothing. Where the system cannot watch, it never tells; SIGHUP still works.
    pub(crate) fn new() -> Watch {
        let (sender, changes) = mpsc::channel(1);
        let files: Arc<Mutex<Vec<PathBuf>>> = Arc::default();
        let wanted = Arc::clone(&files);
        let told = sender.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is an event as well, and we read them all the time. One message that
            // waits is as good as many.
            if event.is_ok_and(|event| {
                !matches!(event.kind, EventKind::Access(_)) && concerns(&event, &wanted)
            }) {
                let _ = told.try_send(());
            }
        });
        let watcher =
            watcher.inspect_err(|error| tracing::warn!(%error, "files are not watched")).ok();
        Watch { watcher, folders: HashSet::new(), files, changes, sender }
    }

    /// Watches the folders of these files from now on, and no others. Whether there are some among
    /// them that were not watched before: what has changed there meanwhile was not seen.
    pub(crate) fn set(&mut self, files: &[PathBuf]) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        // A link and what it leads to can change apart.
        let targets = files.iter().filter_map(|file| file.canonicalize().ok());
        let all: Vec<PathBuf> = files.iter().cloned().chain(targets).collect();
        let wanted: HashSet<PathBuf> = all.iter().flat_map(|file| folders(file)).collect();
        for gone in self.folders.difference(&wanted) {
            let _ = watcher.unwatch(gone);
        }
        // Those that stay as well: another folder may stand in an old one's place.
        for folder in &wanted {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::warn!(folder = %folder.display(), %error, "a folder is not watched");
            }
        }
        let fresh = wanted.difference(&self.folders).next().is_some();
        self.folders = wanted;
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = all;
        fresh
    }

    /// What tells of a change that is in no file. It does not wait.
    pub(crate) fn teller(&self) -> impl Fn() + Send + use<> {
        let sender = self.sender.clone();
        move || {
            let _ = sender.try_send(());
        }
    }

    /// Waits until something has changed and settled.
    pub(crate) async fn changed(&mut self) {
        // It does not end: a sender is here.
        self.changes.recv().await;
        let quiet_by = tokio::time::Instant::now() + SETTLE_AT_MOST;
        while let Ok(Ok(Some(()))) =
            timeout_at(quiet_by, timeout(SETTLE, self.changes.recv())).await
        {}
    }
}

/// Whether an event is about one of these files, by name: a folder may hold others, our own log
/// among them. In a configuration folder every file that would be read counts.
fn concerns(event: &notify::Event, files: &Mutex<Vec<PathBuf>>) -> bool {
    let files = files.lock().unwrap_or_else(PoisonError::into_inner);
    let in_folder = files.iter().any(|file| file.is_dir());
    event.need_rescan()
        || event.paths.iter().any(|path| {
            is_swap(path)
                || (in_folder && Format::of(path).is_some())
                || files.iter().any(|file| file.file_name() == path.file_name())
        })
}

/// `..data` and its like: how Kubernetes swaps a mounted folder's contents.
fn is_swap(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".."))
}

/// Where changes of a file show: in its folder; of a folder, inside it and beside it.
fn folders(file: &Path) -> Vec<PathBuf> {
    let beside = match file.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    if file.is_dir() { vec![file.to_owned(), beside] } else { vec![beside] }
}
