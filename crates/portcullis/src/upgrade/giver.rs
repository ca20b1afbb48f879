//! The old process: it starts the new one and decides.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, anyhow, bail, ensure};
use portcullis_proxy::Handed;
use portcullis_proxy::snapshot::KnownHealth;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::message::{self, Answer, Described, Go, Hello, Ready, VERSION};
use super::program::Program;

/// Tells a process that its standard input is a process that it is to take over from.
pub(super) const MARK: &str = "PORTCULLIS_UPGRADE";
/// What a service manager said to this process alone.
const NOT_INHERITED: [&str; 4] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"];
/// Most endpoints whose health is told: a message has its bounds.
const MOST_KNOWN: usize = 20_000;
/// How long a process that was ready may take to serve. All that could take time is done.
const GO: Duration = Duration::from_secs(10);
/// How long a process that says nothing more has to end by itself, so that its status can be told.
const LAST_WORD: Duration = Duration::from_millis(200);
/// How long a process that was killed may take to be gone.
const GONE: Duration = Duration::from_secs(5);

/// What is needed to start a successor.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) program: Program,
    /// The address of the admin listener as configured, and its socket.
    pub(crate) admin: Option<(String, OwnedFd)>,
    pub(crate) listeners: Vec<Handed>,
    /// What is known of endpoints, by service and address.
    pub(crate) health: Vec<((String, String), KnownHealth)>,
    /// How long the new process may take to be ready.
    pub(crate) timeout: Duration,
}

/// The new process, or why there is none.
pub(crate) type Outcome = anyhow::Result<Box<Successor>>;

/// A new process that serves.
#[derive(Debug)]
pub(crate) struct Successor {
    pub(crate) pid: u32,
    pub(crate) version: String,
    /// Names of the listeners, as this process has them, that it goes on with.
    pub(crate) listeners: HashSet<String>,
    /// Whether it goes on with the admin listener.
    pub(crate) admin: bool,
    child: Child,
    /// Closed when it may take our place with the service manager.
    stream: UnixStream,
}

impl Attempt {
    /// Starts a new process and waits until it serves. `cancel` ends that unless the new process
    /// has been told to serve already.
    ///
    /// # Errors
    /// It does not serve, for this reason; it has ended, and nothing has changed.
    pub(crate) async fn run(self, cancel: oneshot::Receiver<()>) -> Outcome {
        // The end of the first process of a container ends all others.
        ensure!(
            std::process::id() != 1,
            "this is process 1 of a container, with whose end all others end: start a new container"
        );
        let (ours, theirs) = StdStream::pair()?;
        let mut command = Command::new(&self.program.path);
        command.args(&self.program.arguments).env(MARK, "stdin").stdin(OwnedFd::from(theirs));
        for variable in NOT_INHERITED {
            command.env_remove(variable);
        }
        let mut child = command
            .spawn()
            .with_context(|| format!("{} cannot be started", self.program.path.display()))?;
        drop(command);
        let pid = child.id().unwrap_or_default();
        tracing::info!(pid, program = %self.program.path.display(), "a new process starts");
        match self.converse(ours, cancel).await {
            Ok((ready, stream, names)) => Ok(Box::new(Successor {
                pid,
                version: ready.version,
                listeners: names,
                admin: ready.admin,
                child,
                stream,
            })),
            Err(error) => Err(match end(&mut child).await {
                Some(status) => error.context(format!("the new process ended: {status}")),
                None => error,
            }),
        }
    }

    async fn converse(
        self,
        stream: StdStream,
        cancel: oneshot::Receiver<()>,
    ) -> anyhow::Result<(Ready, UnixStream, HashSet<String>)> {
        let patience = self.timeout;
        let names: Vec<String> = self.listeners.iter().map(|l| l.name.clone()).collect();
        let getting_ready = async {
            let mut stream = self.hand_over(stream).await?;
            let ready = match message::read_soon(&mut stream).await.map_err(silence)? {
                Answer::Ready(ready) => ready,
                Answer::Failed(reason) => bail!("{}", reason.trim_end()),
                Answer::Serving => bail!("it serves before it is told to"),
            };
            Ok((stream, ready))
        };
        let (mut stream, ready) = tokio::select! {
            ready = timeout(patience, getting_ready) => {
                ready.map_err(|_| anyhow!("it was not ready within {patience:?}"))??
            }
            // Whoever could cancel is gone only with us.
            Ok(()) = cancel => bail!("the gateway is told to end"),
        };
        let going = async {
            stream.write_all(&message::framed(&Go {})?).await?;
            match message::read_soon(&mut stream).await.map_err(silence)? {
                Answer::Serving => Ok(()),
                Answer::Failed(reason) => bail!("{}", reason.trim_end()),
                Answer::Ready(_) => bail!("it is ready twice"),
            }
        };
        timeout(GO, going).await.map_err(|_| anyhow!("it did not begin to serve"))??;
        let claimed = ready.claimed.iter().filter_map(|index| names.get(*index).cloned()).collect();
        Ok((ready, stream, claimed))
    }

    /// Sends the sockets. Our copies of them are closed when this returns.
    async fn hand_over(self, stream: StdStream) -> anyhow::Result<UnixStream> {
        let Attempt { admin, listeners, mut health, timeout, .. } = self;
        // Who is well is found out soon enough.
        health.sort_by_key(|(_, known)| known.healthy == Some(true) && known.ejected.is_none());
        health.truncate(MOST_KNOWN);
        let sending = tokio::task::spawn_blocking(move || {
            // A process that reads nothing must not hold this thread.
            stream.set_write_timeout(Some(timeout))?;
            let (address, admin) = admin.unzip();
            let described = listeners.iter().map(|listener| Described {
                name: listener.name.clone(),
                bind: listener.bind.clone().unwrap_or_default(),
                lent: listener.lent,
                sockets: listener.sockets.len(),
            });
            let hello = Hello {
                version: VERSION,
                admin: address,
                listeners: described.collect(),
                health: health.into_iter().map(Into::into).collect(),
            };
            message::write(&stream, &hello)?;
            let all = admin.iter().chain(listeners.iter().flat_map(|listener| &listener.sockets));
            message::send_sockets(&stream, &all.map(AsFd::as_fd).collect::<Vec<_>>())?;
            stream.set_nonblocking(true)?;
            io::Result::Ok(stream)
        });
        let stream = sending.await?.context("it did not take the sockets")?;
        Ok(UnixStream::from_std(stream)?)
    }
}

fn silence(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            anyhow!("it did not say that it is ready")
        }
        _ => error.into(),
    }
}

/// Ends a process; its status if it ended by itself.
async fn end(child: &mut Child) -> Option<ExitStatus> {
    if let Ok(Ok(status)) = timeout(LAST_WORD, child.wait()).await {
        return Some(status);
    }
    let _ = child.start_kill();
    // Nothing of it may be left when listeners close: they would only look closed.
    let _ = timeout(GONE, child.wait()).await;
    None
}

impl Successor {
    /// Lets it take our place with the service manager.
    pub(crate) fn let_go(self) -> Child {
        drop(self.stream);
        self.child
    }

    /// Has it end as well.
    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid
            && let Err(error) = rustix::process::kill_process(pid, rustix::process::Signal::TERM)
        {
            tracing::warn!(%error, "the new process cannot be ended");
        }
    }
}
