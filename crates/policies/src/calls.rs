//! Calls that the gateway makes on its own behalf: for the keys and metadata of issuers, to ask
//! about tokens, for secrets. One request over one connection, bounded in time and size; redirects
//! are not followed, for nobody has said that their target may be believed.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use portcullis_config::model::{Address, StoreTls, TlsFile, Url};
use portcullis_wire::tls::{self, CertificatePem, ClientOptions, Pem, SystemRoots, TlsError};
use portcullis_wire::{
    BodyLength, Fields, Io, ReadError, RequestLine, ResponseHead, Socket, Stream, Upstream,
};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How the gateway names itself.
const USER_AGENT: &[u8] = b"portcullis";
/// Most interim replies to one request.
const MOST_INTERIM: usize = 32;

/// Who calls: what TLS is verified by.
#[derive(Clone)]
pub(crate) struct Caller {
    tls: Arc<ClientConfig>,
}

/// A request.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) method: &'static str,
    pub(crate) url: &'a Url,
    /// Fields beside `Host` and `User-Agent`.
    pub(crate) fields: &'a [(&'a str, &'a str)],
    /// Type and content.
    pub(crate) content: Option<(&'a str, &'a [u8])>,
    /// The largest reply that is read, in bytes.
    pub(crate) most: usize,
    /// The longest that all of it takes.
    pub(crate) timeout: Duration,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) content: Vec<u8>,
}

/// What came back, its head included.
#[derive(Debug)]
pub(crate) struct Replied {
    pub(crate) head: ResponseHead,
    pub(crate) content: Vec<u8>,
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Nobody is there.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// Whoever is there is not who should be, or speaks no TLS.
    #[error("no TLS: {0}")]
    Tls(#[source] io::Error),
    /// The name cannot stand in a certificate.
    #[error("no name to verify")]
    Name,
    /// It took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection was lost on the way.
    #[error("the connection was lost: {0}")]
    Lost(#[source] io::Error),
    /// The reply cannot be read.
    #[error("the reply cannot be read: {0}")]
    Broken(#[from] ReadError),
    /// The reply is too large.
    #[error("the reply has more than {0} bytes")]
    TooLarge(usize),
    /// Interim replies without end.
    #[error("too many interim replies")]
    Interim,
}

impl Caller {
    /// May read the system's certificate authorities.
    ///
    /// # Errors
    /// Authorities or certificates are of no use.
    pub(crate) fn new(tls: &StoreTls) -> Result<Caller, TlsError> {
        let options = ClientOptions {
            ca: tls.ca.as_ref().map(pem),
            certificate: tls.certificate.as_ref().map(|certificate| CertificatePem {
                chain: pem(&certificate.cert),
                key: pem(&certificate.key),
                ocsp: None,
            }),
            alpn: vec![b"http/1.1".to_vec()],
            ..ClientOptions::default()
        };
        Ok(Caller { tls: tls::client(&options, &SystemRoots::default())?.config })
    }

    /// Calls, and reads the whole reply, whatever its status.
    ///
    /// # Errors
    /// There is no whole reply.
    pub(crate) async fn call(&self, call: &Call<'_>) -> Result<Answered, CallError> {
        let Replied { head, content } = self.ask(call, &Fields::default()).await?;
        Ok(Answered { status: head.status, content })
    }

    /// The same with `more` fields, for those who want to know the fields of the reply.
    ///
    /// # Errors
    /// There is no whole reply.
    pub(crate) async fn ask(&self, call: &Call<'_>, more: &Fields) -> Result<Replied, CallError> {
        match tokio::time::timeout(call.timeout, self.exchange(call, more)).await {
            Ok(done) => done,
            Err(_) => Err(CallError::Timeout(call.timeout)),
        }
    }

    async fn exchange(&self, call: &Call<'_>, more: &Fields) -> Result<Replied, CallError> {
        let mut up = Upstream::over(self.connect(call.url).await?);
        begin(&mut up, call, more);
        if let Some((_, content)) = call.content {
            send(&mut up, content).await.map_err(CallError::Lost)?;
        }
        reply(&mut up, call.most).await
    }

    async fn connect(&self, url: &Url) -> Result<Io, CallError> {
        let tcp = match url.address() {
            Address::Ip(address) => TcpStream::connect(address).await,
            Address::Name { host, port } => TcpStream::connect((&*host, port)).await,
            // No URL names one.
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        };
        let tcp = tcp.map_err(CallError::Connect)?;
        tcp.set_nodelay(true).map_err(CallError::Connect)?;
        let socket = Socket::Tcp(tcp);
        if !url.is_tls() {
            return Ok(Io::Plain(socket));
        }
        let name = tls::server_name(url.host()).map_err(|_| CallError::Name)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector.connect(name, socket).await.map_err(CallError::Tls)?;
        Ok(Io::TlsClient(Box::new(stream)))
    }
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}

fn pem(file: &TlsFile) -> Pem {
    Pem { text: Arc::clone(&file.content), label: file.path.display().to_string().into() }
}

fn begin(up: &mut Upstream, call: &Call<'_>, more: &Fields) {
    let length = call.content.map_or(BodyLength::Empty, |(_, content)| {
        if content.is_empty() { BodyLength::Empty } else { BodyLength::Exact(content.len() as u64) }
    });
    let mut head = up.begin_request(&RequestLine {
        method: call.method.as_bytes(),
        path: call.url.path().as_bytes(),
        query: call.url.query().map(str::as_bytes),
        authority: call.url.authority().as_bytes(),
        length,
        declares_length: call.content.is_some(),
        expects_continue: false,
        upgrade: None,
        takes_trailers: false,
    });
    head.field(b"user-agent", USER_AGENT);
    head.field(b"connection", b"close");
    if let Some((kind, _)) = call.content {
        head.field(b"content-type", kind.as_bytes());
    }
    for (name, value) in call.fields {
        head.field(name.as_bytes(), value.as_bytes());
    }
    for field in more.iter() {
        head.field(field.name, field.value);
    }
    head.end();
}

async fn send(up: &mut Upstream, content: &[u8]) -> io::Result<()> {
    let mut sent = 0;
    poll_fn(|cx| {
        while sent < content.len() {
            sent += ready!(up.poll_send(cx, &content[sent..]))?;
        }
        Poll::Ready(Ok(()))
    })
    .await
}

/// Reads the final reply and all of its content.
async fn reply(up: &mut Upstream, most: usize) -> Result<Replied, CallError> {
    let mut head = ResponseHead::default();
    let mut interim = 0;
    poll_fn(|cx| {
        loop {
            ready!(poll_head(cx, up, &mut head))?;
            if head.status >= 200 {
                return Poll::Ready(Ok(()));
            }
            interim += 1;
            if interim > MOST_INTERIM {
                return Poll::Ready(Err(CallError::Interim));
            }
        }
    })
    .await?;
    let mut content = Vec::new();
    poll_fn(|cx| poll_content(cx, up, most, &mut content)).await?;
    Ok(Replied { head, content })
}

/// Sends what waits and reads the next head.
fn poll_head(
    cx: &mut Context<'_>,
    up: &mut Upstream,
    head: &mut ResponseHead,
) -> Poll<Result<(), CallError>> {
    // A reply may have come although not all could be sent.
    let flushed = up.poll_flush(cx);
    match (up.poll_response(cx, head), flushed) {
        (Poll::Ready(read), _) => Poll::Ready(read.map_err(CallError::Broken)),
        (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(CallError::Lost(error))),
        (Poll::Pending, _) => Poll::Pending,
    }
}

fn poll_content(
    cx: &mut Context<'_>,
    up: &mut Upstream,
    most: usize,
    content: &mut Vec<u8>,
) -> Poll<Result<(), CallError>> {
    loop {
        if !ready!(up.poll_content(cx))? {
            return Poll::Ready(Ok(()));
        }
        let here = up.content();
        if here.len() > most - content.len() {
            return Poll::Ready(Err(CallError::TooLarge(most)));
        }
        content.extend_from_slice(here);
        let taken = here.len();
        up.consume(taken);
    }
}

#[cfg(test)]
mod tests;
