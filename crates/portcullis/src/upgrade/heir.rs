//! The new process: it gets the sockets, says whether it could serve, and serves when told to.

use std::env;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Context;
use portcullis_proxy::snapshot::KnownHealth;
use portcullis_proxy::{Handed, Settled};

use super::giver::MARK;
use super::message::{self, Answer, Go, Hello, Ready, VERSION};

/// How long the old process may take to close its side once we serve. It has nothing else to do.
const FAREWELL: Duration = Duration::from_secs(5);

/// A process that this one is to take over from.
#[derive(Debug)]
pub(crate) struct Takeover {
    stream: UnixStream,
    admin: Option<(String, OwnedFd)>,
    listeners: Vec<Handed>,
    health: Vec<((String, String), KnownHealth)>,
}

impl Takeover {
    /// Receives what an old process hands over, if one has started this process. To be called once,
    /// before anything reads standard input.
    ///
    /// # Errors
    /// The old process is gone or of another kind.
    pub(crate) fn from_environment() -> anyhow::Result<Option<Takeover>> {
        if env::var_os(MARK).is_none() {
            return Ok(None);
        }
        let received = (|| {
            let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
            // Nobody else is to hold this side of the conversation.
            rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
            Takeover::receive(stream)
        })();
        received.map(Some).context("what the old process hands over cannot be taken")
    }

    fn receive(stream: UnixStream) -> io::Result<Takeover> {
        let hello: Hello = message::read(&stream)?;
        if hello.version != VERSION {
            return Err(io::Error::other("the two binaries do not understand each other"));
        }
        let count = hello.listeners.iter().map(|listener| listener.sockets).sum::<usize>();
        let count = count + usize::from(hello.admin.is_some());
        let mut sockets = message::receive_sockets(&stream, count)?.into_iter();
        let admin = hello.admin.and_then(|address| Some((address, sockets.next()?)));
        let listeners = hello.listeners.into_iter().map(|listener| Handed {
            name: listener.name,
            bind: Some(listener.bind),
            lent: listener.lent,
            sockets: sockets.by_ref().take(listener.sockets).collect(),
        });
        let health = hello.health.into_iter().map(Into::into).collect();
        Ok(Takeover { admin, listeners: listeners.collect(), health, stream })
    }

    /// The sockets of listeners; once.
    pub(crate) fn take_listeners(&mut self) -> Vec<Handed> {
        std::mem::take(&mut self.listeners)
    }

    /// What the old process knows of endpoints, by service and address; once.
    pub(crate) fn take_health(&mut self) -> Vec<((String, String), KnownHealth)> {
        std::mem::take(&mut self.health)
    }

    /// The admin listener's socket if its address is still this one; once.
    pub(crate) fn take_admin(&mut self, address: &str) -> Option<TcpListener> {
        let (held, socket) = self.admin.take()?;
        (held == address).then(|| TcpListener::from(socket))
    }

    /// Says that this process could serve, and waits until it is told to.
    ///
    /// # Errors
    /// The old process has decided otherwise, or is gone.
    pub(crate) async fn offer(&mut self, settled: Settled, admin: bool) -> anyhow::Result<()> {
        // What nobody claimed is closed here: the old process is to be the last to hold it.
        self.admin = None;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let ready = Answer::Ready(Ready { version, claimed: settled.claimed, admin });
        message::write(&self.stream, &ready)?;
        let stream = self.stream.try_clone()?;
        let told = tokio::task::spawn_blocking(move || message::read::<Go>(&stream)).await?;
        told.map(|Go {}| ()).context("the old process is gone")
    }

    /// Says that this process serves, and waits until the old one has taken note.
    pub(crate) async fn serving(self) {
        // From here on we serve, whatever becomes of the old process.
        let _ = message::write(&self.stream, &Answer::Serving);
        let _ = self.stream.set_read_timeout(Some(FAREWELL));
        let farewell = move || message::read::<Go>(&self.stream);
        let _ = tokio::task::spawn_blocking(farewell).await;
    }

    /// Says why this process cannot serve.
    pub(crate) fn failed(&self, reason: String) {
        let _ = message::write(&self.stream, &Answer::Failed(reason));
    }
}
