//! Starting a gateway in other ways than usual.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::{fs, thread};

use super::lines::Lines;
use super::{Gateway, command, completed};
use crate::{TempDir, binary};

/// The program's name in the gateway's directory, where it can be replaced.
const PROGRAM: &str = "portcullis";

/// A gateway to be.
#[derive(Debug)]
pub struct Starting {
    dir: TempDir,
    group: bool,
    program: Option<PathBuf>,
    /// What stands before the gateway's command line.
    wrapper: Vec<OsString>,
    stdin: Stdio,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
}

impl Starting {
    /// With this configuration.
    #[must_use]
    pub fn new(config: &impl Display) -> Starting {
        let dir = TempDir::new();
        dir.write("gateway.yaml", completed(config));
        Starting {
            dir,
            group: false,
            program: None,
            wrapper: Vec::new(),
            stdin: Stdio::null(),
            arguments: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// From a path in its own directory, where [`Gateway::replace_program`] can put another one. Its
    /// processes are in a group of their own, which is killed as a whole when it is dropped: an
    /// upgrade starts more.
    #[must_use]
    pub fn replaceable(mut self) -> Starting {
        let program = self.dir.join(PROGRAM);
        symlink(binary(), &program).expect("a link");
        self.program = Some(program);
        self.group = true;
        self
    }

    /// With another argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Starting {
        self.arguments.push(argument.into());
        self
    }

    /// With another variable in its environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Starting {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Through another program, which gets these arguments and then the gateway's command line.
    #[must_use]
    pub fn through<A: Into<OsString>>(mut self, wrapper: impl IntoIterator<Item = A>) -> Starting {
        self.wrapper = wrapper.into_iter().map(Into::into).collect();
        self
    }

    /// With this as its standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Starting {
        self.stdin = stdin.into();
        self
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &TempDir {
        &self.dir
    }

    /// Starts it and waits until it serves.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(self) -> Gateway {
        let gateway = self.spawn();
        gateway
            .log
            .wait_for_line("\"ready\" alone", |line| line.split(' ').next_back() == Some("ready"));
        gateway
    }

    /// Starts it and waits for nothing.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn spawn(self) -> Gateway {
        let program = self.program.unwrap_or_else(|| binary().to_owned());
        let mut words = self.wrapper.into_iter().chain([program.into()]);
        let mut command = command(words.next().expect("the gateway at least"));
        command.args(words).args(["run", "--config"]).arg(self.dir.join("gateway.yaml"));
        command.args(self.arguments).envs(self.variables).stdin(self.stdin);
        if self.group {
            command.process_group(0);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the gateway's process");
        let access_log = Lines::of(child.stdout.take().expect("its output"));
        let log = Lines::of(child.stderr.take().expect("its log"));
        Gateway { child, group: self.group, dir: self.dir, log, access_log }
    }
}

impl Gateway {
    /// Puts something else where the program is that [`Starting::replaceable`] started.
    pub fn replace_program(&self, text: &str) {
        let path = self.dir.write(PROGRAM, text);
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("a program");
    }

    /// Puts the gateway's program back.
    pub fn restore_program(&self) {
        let path = self.dir.join(PROGRAM);
        let _ = fs::remove_file(&path);
        symlink(binary(), path).expect("a link");
    }

    /// Where the program is.
    #[must_use]
    pub fn program_path(&self) -> PathBuf {
        self.dir.join(PROGRAM)
    }

    /// Upgrades it and gives the number of the new process.
    ///
    /// # Panics
    /// It fails.
    pub fn upgrade(&self) -> u32 {
        let reply = self.admin("POST", "/upgrade");
        assert_eq!(reply.status, 200, "{}", reply.text());
        let summary: serde_json::Value = serde_json::from_str(&reply.text()).expect("JSON");
        u32::try_from(summary["pid"].as_u64().expect("a number")).expect("a process")
    }

    /// Upgrades it and gives the reason why that fails.
    ///
    /// # Panics
    /// It does not fail.
    #[must_use]
    pub fn failed_upgrade(&self) -> String {
        let reply = self.admin("POST", "/upgrade");
        assert_eq!(reply.status, 422, "{}", reply.text());
        reply.text()
    }

    /// How many of its processes have ended in order.
    #[must_use]
    pub fn stopped(&self) -> usize {
        self.log.all().iter().filter(|line| line.contains(" stopped ")).count()
    }
}

/// Sends a signal to a process: `TERM`, `HUP`.
///
/// # Panics
/// There is no such process.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(sent.expect("kill").success(), "no {name} for {pid}");
}

/// Kills a process and, if it leads one, its group.
pub(super) fn kill(child: &mut Child, group: bool) {
    if group {
        // Before its leader is waited for: until then nobody else has the number.
        let group = format!("-{}", child.id());
        // It complains when all have ended.
        let killed =
            Command::new("kill").args(["-s", "KILL", "--", &group]).stderr(Stdio::null()).status();
        if killed.is_err() && !thread::panicking() {
            panic!("processes are left behind");
        }
    }
    let _ = child.kill();
    let _ = child.wait();
}
