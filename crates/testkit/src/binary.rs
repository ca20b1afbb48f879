//! The gateway's binary, built once for all tests of a run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

/// Path of the `portcullis` binary that belongs to this build; `PORTCULLIS_BINARY` names another
/// one instead.
///
/// # Panics
/// It cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match env::var_os("PORTCULLIS_BINARY") {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

/// Builds it into the same target directory and profile as the test that runs.
fn build() -> PathBuf {
    let test = env::current_exe().expect("a path of the running test");
    let test = fs::canonicalize(&test).unwrap_or(test);
    // TARGET/PROFILE/deps/behaviour-HASH
    let profile = test.ancestors().nth(2).expect("a test below its profile's directory");
    let target = profile.parent().expect("a profile below the target directory");
    let name = profile.file_name().and_then(|name| name.to_str()).expect("a profile's name");

    // Cargo has let go of its lock before it runs tests, so there is nothing to wait for. Naming
    // the test as well gives dependencies the same features as `cargo test` does, so that they are
    // not compiled a second time.
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--quiet", "--workspace", "--bin", "portcullis", "--test", "behaviour"])
        .args(["--profile", if name == "debug" { "dev" } else { name }])
        .arg("--target-dir")
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(built.status.success(), "no gateway:\n{}", String::from_utf8_lossy(&built.stderr));
    profile.join("portcullis")
}
