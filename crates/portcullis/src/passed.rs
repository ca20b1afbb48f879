//! Sockets that a service manager passes: the protocol of systemd's socket activation.

use std::env;
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use portcullis_proxy::Handed;

/// What systemd calls a socket whose unit has no name for it.
const UNNAMED: &str = "unknown";

/// Takes the sockets that were passed, under the names that they were given. To be called once and
/// before other threads start, as it changes the environment.
pub(crate) fn take() -> Vec<Handed> {
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut passed = ListenFd::from_env();
    let mut names = names.split(':').map(str::to_owned);
    let mut sockets = Vec::with_capacity(passed.len());
    for index in 0..passed.len() {
        let name = names.next().unwrap_or_else(|| UNNAMED.to_owned());
        match take_one(&mut passed, index) {
            Ok(socket) => {
                sockets.push(Handed { name, bind: None, lent: true, sockets: vec![socket] });
            }
            Err(error) => tracing::warn!(name, %error, "a passed socket cannot be used"),
        }
    }
    sockets
}

fn take_one(passed: &mut ListenFd, index: usize) -> std::io::Result<OwnedFd> {
    if let Ok(Some(tcp)) = passed.take_tcp_listener(index) {
        return Ok(tcp.into());
    }
    match passed.take_unix_listener(index)? {
        Some(unix) => Ok(unix.into()),
        None => Err(std::io::ErrorKind::NotFound.into()),
    }
}
