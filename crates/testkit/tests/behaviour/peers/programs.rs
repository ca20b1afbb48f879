//! Which of the programs there are on this machine, and what happens to a test that lacks one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A file beside this one's.
pub(super) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/behaviour/peers/scripts").join(name)
}

/// Where `install` puts packages of Python and Node.
pub(super) fn packages() -> PathBuf {
    let named = env::var_os("PORTCULLIS_PEERS_DIR").map(PathBuf::from);
    named.unwrap_or_else(|| {
        PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache/portcullis-peers")
    })
}

/// A program of the system.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    let found = env::split_paths(&path)
        .chain(administrators)
        .map(|dir| dir.join(name))
        .find(|file| fs::metadata(file).is_ok_and(|file| file.is_file()));
    found.or_else(|| skipped(name))
}

/// A program that `install` built of the folder with this name.
pub(super) fn built(name: &str) -> Option<PathBuf> {
    let program = packages().join("bin").join(name);
    if program.is_file() { Some(program) } else { skipped(name) }
}

/// Java with its compiler, which it needs to run a source file.
pub(super) fn java() -> Option<PathBuf> {
    program("javac")?;
    program("java")
}

/// Node, if it finds this package.
pub(super) fn node_with(package: &str) -> Option<PathBuf> {
    let is_there = packages().join("node_modules").join(package).is_dir();
    if is_there { program("node") } else { skipped(package) }
}

/// Python: the one that `install` made ready, else the system's.
pub(super) fn python() -> Option<PathBuf> {
    let ready = packages().join("venv/bin/python3");
    if ready.exists() { Some(ready) } else { program("python3") }
}

/// Python, if it finds this package.
pub(super) fn python_with(package: &str) -> Option<PathBuf> {
    let python = python()?;
    let look = format!("import importlib.util as u; exit(u.find_spec({package:?}) is None)");
    let found = Command::new(&python).args(["-c", &look]).status().is_ok_and(|s| s.success());
    if found { Some(python) } else { skipped(package) }
}

fn skipped<T>(what: &str) -> Option<T> {
    let required = env::var_os("PORTCULLIS_PEERS").is_some_and(|value| value == "required");
    assert!(!required, "{what} is not installed, and PORTCULLIS_PEERS=required");
    println!("skipped: {what} is not installed");
    None
}
