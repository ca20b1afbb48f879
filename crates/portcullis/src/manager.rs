//! What a service manager is told: the protocol of systemd's `Type=notify`, its watchdog included.
//!
//! Without a manager, or with one that does not listen, nothing happens.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use portcullis_proxy::Pulse;
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinHandle;

/// The service manager that started this process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manager {
    socket: Option<Arc<UnixDatagram>>,
    /// It must hear from us at least so often.
    watchdog: Option<Duration>,
}

/// Keeps the manager's watchdog quiet until dropped.
#[derive(Debug)]
pub(crate) struct Watchdog(JoinHandle<()>);

impl Manager {
    /// The one that the environment names.
    pub(crate) fn from_environment() -> Manager {
        let Some(address) = env::var_os("NOTIFY_SOCKET") else { return Manager::default() };
        match connect(&address) {
            Ok(socket) => Manager { socket: Some(Arc::new(socket)), watchdog: watchdog() },
            Err(error) => {
                tracing::warn!(?address, %error, "the service manager cannot be told anything");
                Manager::default()
            }
        }
    }

    /// Requests are taken.
    pub(crate) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// A new configuration is being read; [`Manager::ready`] ends that.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reloading"));
    }

    /// The end has begun.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=draining");
    }

    /// What happens, for people.
    pub(crate) fn status(&self, status: &str) {
        self.tell(&format!("STATUS={status}"));
    }

    /// Another process is the service from now on. The watchdog begins anew for it.
    pub(crate) fn hand_over(&self, pid: u32) {
        self.tell(&format!("MAINPID={pid}\nWATCHDOG=1\nSTATUS=process {pid} serves"));
    }

    /// Tells the watchdog that we live, for as long as all workers do.
    pub(crate) fn watch(&self, pulse: Pulse) -> Option<Watchdog> {
        let half = self.watchdog? / 2;
        let manager = self.clone();
        let mut beat = tokio::time::interval(half);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Some(Watchdog(tokio::spawn(async move {
            loop {
                beat.tick().await;
                if pulse.beats(half).await {
                    manager.tell("WATCHDOG=1");
                } else {
                    tracing::error!("a worker does not answer; the watchdog is not told to wait");
                }
            }
        })))
    }

    /// The same while the workers drain: they answer no more, and have a deadline instead.
    pub(crate) fn watch_drain(&self) -> Option<Watchdog> {
        let half = self.watchdog? / 2;
        let manager = self.clone();
        Some(Watchdog(tokio::spawn(async move {
            loop {
                manager.tell("WATCHDOG=1");
                tokio::time::sleep(half).await;
            }
        })))
    }

    fn tell(&self, message: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(message.as_bytes())
        {
            tracing::debug!(%error, message, "the service manager does not listen");
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A path, or a name of the abstract kind behind `@`.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let address = match address.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that has no time now must not stop us.
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

/// The watchdog's patience, if it is for this process.
fn watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok()?.parse::<u64>().ok();
    let ours = env::var_os("WATCHDOG_PID").is_none()
        || number("WATCHDOG_PID") == Some(std::process::id().into());
    let micros = number("WATCHDOG_USEC").filter(|micros| ours && *micros > 0)?;
    Some(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_kinds_are_reached() {
        let name = format!("portcullis-manager-{}", std::process::id());
        let path = env::temp_dir().join(&name);
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (listening, address) in
            [(by_path, path.clone().into_os_string()), (by_name, format!("@{name}").into())]
        {
            let socket = Some(Arc::new(connect(&address).unwrap()));
            Manager { socket, watchdog: None }.ready("serving");
            let mut message = [0; 100];
            let length = listening.recv(&mut message).unwrap();
            assert_eq!(&message[..length], b"READY=1\nSTATUS=serving");
        }
        std::fs::remove_file(path).unwrap();
    }
}
