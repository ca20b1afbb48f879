//! How this process was started, to start its successor in the same way.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A program and its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

impl Program {
    /// The one that runs. Its path is kept as it was called, links included: by the time of an
    /// upgrade another file stands there, and what the system says of the running one is of no use.
    ///
    /// # Errors
    /// The system does not tell.
    pub(crate) fn of_this_process() -> io::Result<Program> {
        let mut words = env::args_os();
        let called = words.next().and_then(|name| called_path(&name, env::var_os("PATH")));
        let running = env::current_exe()?;
        let path = called.filter(|path| same_file(path, &running)).unwrap_or(running);
        Ok(Program { path, arguments: words.collect() })
    }
}

/// Where a shell would find a program.
fn called_path(name: &OsStr, search: Option<OsString>) -> Option<PathBuf> {
    let path = Path::new(name);
    if path.components().count() > 1 || path.is_absolute() {
        return std::path::absolute(path).ok();
    }
    let search = search?;
    let found = env::split_paths(&search).map(|folder| folder.join(path)).find(|p| p.is_file())?;
    std::path::absolute(found).ok()
}

/// What calls us may give us any name.
fn same_file(called: &Path, running: &Path) -> bool {
    match (fs::metadata(called), fs::metadata(running)) {
        (Ok(called), Ok(running)) => (called.dev(), called.ino()) == (running.dev(), running.ino()),
        // It was replaced within the moment since it was started.
        (Ok(_), Err(_)) => true,
        (Err(_), _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_searched_and_paths_are_not() {
        let search = || Some(OsString::from("/nowhere:/bin"));
        assert_eq!(called_path(OsStr::new("sh"), search()), Some("/bin/sh".into()));
        assert_eq!(called_path(OsStr::new("no-such-program"), search()), None);
        assert_eq!(called_path(OsStr::new("/a/b"), search()), Some("/a/b".into()));
        let relative = called_path(OsStr::new("./b"), search()).unwrap();
        assert!(relative.is_absolute() && relative.ends_with("b"));
    }

    #[test]
    fn a_false_name_is_not_believed() {
        let running = env::current_exe().unwrap();
        assert!(same_file(&running, &running));
        assert!(!same_file(Path::new("/bin/sh"), &running));
        assert!(!same_file(Path::new("/nowhere"), &running));
    }
}
