//! Programs of someone else's: servers, which end with their test, whatever way that ends, and
//! clients, which are waited for or watched.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use crate::patience::{eventually, until};

/// Becomes the program and leaves a guard in its process group. When the input ends, as it does
/// even for a test that is killed, the guard ends the program, and five seconds later the group.
const GUARDED: &str = r#"
    exec 3<&0
    (cat <&3 >/dev/null; kill -s TERM $$; sleep 5; kill -s KILL 0) &
    exec "$@" </dev/null 3<&-
"#;

/// A running program. It is gone, with all processes that it made, when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it in `dir`, where its output goes to `output.log`.
    ///
    /// # Panics
    /// There is no shell.
    #[must_use]
    pub fn start(command: &Command, dir: &Path) -> Process {
        let log = dir.join("output.log");
        let output = File::create(&log).unwrap();
        let mut guarded = Command::new("sh");
        guarded.args(["-c", GUARDED, "sh"]).arg(command.get_program()).args(command.get_args());
        guarded.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let child = guarded
            .current_dir(dir)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .expect("a shell");
        Process { child, log }
    }

    /// The number behind `mark` in its output, as soon as it stands there.
    ///
    /// # Panics
    /// It never does.
    #[must_use]
    pub fn number_behind(&self, mark: &str) -> u16 {
        let number = until(|| {
            let text = self.output();
            let digits = text.split_once(mark)?.1;
            // Only with what follows it is the number whole.
            let (digits, _) = digits.split_once(|c: char| !c.is_ascii_digit())?;
            digits.parse().ok()
        });
        number.unwrap_or_else(|| panic!("no {mark:?} in {}", self.output()))
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// It is gone.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success(), "no {name} for it");
    }

    /// Whether it has ended by itself.
    ///
    /// # Panics
    /// It is no child of ours.
    #[must_use]
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for it to end by itself, with success.
    ///
    /// # Panics
    /// It does not.
    #[must_use]
    pub fn ends_well(mut self) -> String {
        let status = until(|| self.child.try_wait().unwrap());
        let output = self.output();
        assert!(status.is_some_and(|status| status.success()), "{status:?}: {output}");
        output
    }

    /// Waits until it has written this.
    ///
    /// # Panics
    /// It never does.
    pub fn writes(&self, text: &str) {
        assert!(eventually(|| self.output().contains(text)), "no {text:?} in {}", self.output());
    }

    /// What it has written so far.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
        // The guard is still there, so that the group is still this one.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).status();
        if thread::panicking() {
            eprintln!("--- a peer's output\n{}\n---", self.output());
        }
    }
}

/// Runs a client until it ends and gives what it wrote; the test fails where the client does.
///
/// # Panics
/// It fails.
pub fn run(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
    environment: &[(&str, &OsStr)],
) -> String {
    let output = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("a client's process");
    let out = String::from_utf8_lossy(output.stdout.trim_ascii()).into_owned();
    let err = String::from_utf8_lossy(&output.stderr);
    let shown: Vec<_> = arguments.iter().map(|argument| argument.as_ref().display()).collect();
    assert!(output.status.success(), "{program:?} {shown:?}: {}\n{out}\n{err}", output.status);
    out
}
