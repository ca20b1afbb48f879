//! What the old process and the new one say to each other: JSON behind its length, and descriptors.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use portcullis_core::health::EjectionCause;
use portcullis_proxy::snapshot::{KnownEjection, KnownHealth};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

/// What is said, in its first form. A process that speaks another is no successor.
pub(super) const VERSION: u32 = 1;
/// The longest message; thousands of listeners fit.
const LONGEST: u32 = 16 << 20;
/// Descriptors that travel at once; the system allows 253.
const BATCH: usize = 128;

/// What the old process hands over. The descriptors follow in this order, the admin listener's
/// first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) version: u32,
    /// The address of the admin listener as configured.
    pub(super) admin: Option<String>,
    pub(super) listeners: Vec<Described>,
    /// Of endpoints of which there is something to tell. Binaries from before there was say nothing.
    #[serde(default)]
    pub(super) health: Vec<Known>,
}

/// What is known of an endpoint's health.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) service: String,
    pub(super) endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) healthy: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ejected: Option<Ejected>,
}

/// An ejection that goes on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ejected {
    /// The key that configures it.
    pub(super) cause: String,
    /// How long it still lasts, in milliseconds.
    pub(super) left: u64,
    pub(super) times: u32,
}

impl From<((String, String), KnownHealth)> for Known {
    fn from(((service, endpoint), known): ((String, String), KnownHealth)) -> Known {
        let ejected = known.ejected.map(|ejected| Ejected {
            cause: ejected.cause.code().to_owned(),
            left: u64::try_from(ejected.left.as_millis()).unwrap_or(u64::MAX),
            times: ejected.times,
        });
        Known { service, endpoint, healthy: known.healthy, ejected }
    }
}

impl From<Known> for ((String, String), KnownHealth) {
    fn from(told: Known) -> ((String, String), KnownHealth) {
        let ejected = told.ejected.and_then(|Ejected { cause, left, times }| {
            // A binary may know causes that another does not.
            let cause = EjectionCause::ALL.into_iter().find(|known| known.code() == cause)?;
            Some(KnownEjection { cause, left: Duration::from_millis(left), times })
        });
        ((told.service, told.endpoint), KnownHealth { healthy: told.healthy, ejected })
    }
}

/// A listener that is handed over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Described {
    pub(super) name: String,
    pub(super) bind: String,
    pub(super) lent: bool,
    pub(super) sockets: usize,
}

/// What the new process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// It could serve, and waits for [`Go`].
    Ready(Ready),
    /// It serves.
    Serving,
    /// It cannot, for this reason.
    Failed(String),
}

/// What a new process would do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    /// The version of the binary.
    pub(super) version: String,
    /// Which listeners it goes on with, by their place in [`Hello`].
    pub(super) claimed: Vec<usize>,
    /// Whether it goes on with the admin listener.
    pub(super) admin: bool,
}

/// The old process has decided: serve.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Go {}

/// Writes a message.
///
/// # Errors
/// The other side is gone.
pub(super) fn write(mut stream: &UnixStream, message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&framed(message)?)
}

/// A message as it is sent.
///
/// # Errors
/// It is too long.
pub(super) fn framed(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    Ok([&length.to_be_bytes(), &text[..]].concat())
}

/// Reads a message.
///
/// # Errors
/// The other side is gone, or says what cannot be understood.
pub(super) fn read<M: DeserializeOwned>(mut stream: &UnixStream) -> io::Result<M> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut text = vec![0; checked(u32::from_be_bytes(length))?];
    stream.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// The same without blocking.
///
/// # Errors
/// As [`read`].
pub(super) async fn read_soon<M: DeserializeOwned>(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<M> {
    let mut text = vec![0; checked(stream.read_u32().await?)?];
    stream.read_exact(&mut text).await?;
    Ok(serde_json::from_slice(&text)?)
}

fn checked(length: u32) -> io::Result<usize> {
    if length > LONGEST {
        return Err(io::Error::other("this is no message"));
    }
    Ok(length as usize)
}

/// Sends descriptors.
///
/// # Errors
/// The other side is gone, or too many descriptors are under way.
pub(super) fn send_sockets(stream: &UnixStream, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    for batch in sockets.chunks(BATCH) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(batch)) {
            return Err(io::Error::other("descriptors do not fit"));
        }
        // A descriptor cannot travel without a byte.
        sendmsg(stream, &[IoSlice::new(b"s")], &mut control, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

/// Receives so many descriptors, which are closed when another program is started.
///
/// # Errors
/// The other side is gone, or this process may open no more files.
pub(super) fn receive_sockets(stream: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut sockets = Vec::new();
    while sockets.len() < count {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let read = recvmsg(stream, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
        let before = sockets.len();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                sockets.extend(received);
            }
        }
        if read.bytes == 0 || sockets.len() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn messages_and_more_descriptors_than_fit_at_once_arrive() {
        let (here, there) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sockets = vec![listener.as_fd(); 2 * BATCH + 3];
        write(&here, &Answer::Failed("no".to_owned())).unwrap();
        send_sockets(&here, &sockets).unwrap();
        write(&here, &Go {}).unwrap();
        assert!(matches!(read(&there).unwrap(), Answer::Failed(text) if text == "no"));
        let received = receive_sockets(&there, sockets.len()).unwrap();
        assert_eq!(received.len(), sockets.len());
        for socket in received {
            assert_eq!(TcpListener::from(socket).local_addr().unwrap(), address);
        }
        let Go {} = read(&there).unwrap();
    }

    #[test]
    fn health_arrives_as_it_was() {
        let ejected = KnownEjection {
            cause: EjectionCause::Latency,
            left: Duration::from_millis(1500),
            times: 3,
        };
        for known in [
            KnownHealth { healthy: Some(false), ejected: Some(ejected) },
            KnownHealth { healthy: Some(true), ejected: None },
        ] {
            let whose = (("users".to_owned(), "a:1".to_owned()), known);
            let text = serde_json::to_string(&Known::from(whose.clone())).unwrap();
            let told: Known = serde_json::from_str(&text).unwrap();
            assert_eq!(<((String, String), KnownHealth)>::from(told), whose);
        }
        let before = r#"{"version":1,"admin":null,"listeners":[]}"#;
        assert!(serde_json::from_str::<Hello>(before).unwrap().health.is_empty());
    }

    #[test]
    fn an_end_without_a_word_is_an_error() {
        let (here, there) = UnixStream::pair().unwrap();
        here.shutdown(std::net::Shutdown::Both).unwrap();
        assert!(read::<Go>(&there).is_err());
        assert!(receive_sockets(&there, 1).is_err());
    }
}
