//! Opening a connection to an endpoint, TLS included.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use portcullis_config::model::{Address, ProxyVersion};
use portcullis_core::{Failure, Reason};
use portcullis_wire::proxy_protocol::{self, Version};
use portcullis_wire::{Io, Socket};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;

use crate::forwarding::Peer;
use crate::snapshot::{CompiledService, EndpointState};

/// What the endpoint may choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alpn {
    /// Those that the service is configured for.
    AsConfigured,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone.
    Http2,
    /// It is not asked: the client knows what is spoken.
    Unasked,
}

/// A connection that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) io: Io,
    /// The endpoint chose HTTP/2.
    pub(crate) http2: bool,
}

/// Where a connection goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) address: &'a Address,
    /// The same as text.
    pub(crate) label: &'a str,
    /// The host for SNI and verification where the service names no other.
    pub(crate) server_name: Option<&'a ServerName<'static>>,
}

/// Opens a connection before `due`, for one client where the service wants to be told of it.
///
/// # Errors
/// [`Reason::ConnectFailed`], [`Reason::UpstreamTls`] or [`Reason::ConnectTimeout`].
pub(crate) async fn connect(
    service: &CompiledService,
    endpoint: &EndpointState,
    client: Option<&Peer>,
    alpn: Alpn,
    due: Instant,
) -> Result<Opened, Failure> {
    let target = Target {
        address: &endpoint.address,
        label: &endpoint.label,
        server_name: endpoint.server_name.as_ref(),
    };
    connect_to(service, target, client, alpn, due).await
}

/// The same to a place that need not be an endpoint's own.
///
/// # Errors
/// As [`connect`].
pub(crate) async fn connect_to(
    service: &CompiledService,
    target: Target<'_>,
    client: Option<&Peer>,
    alpn: Alpn,
    due: Instant,
) -> Result<Opened, Failure> {
    match timeout_at(due.into(), open(service, target, client, alpn)).await {
        Ok(opened) => opened,
        Err(_) => Err(Failure::new(Reason::ConnectTimeout, target.label)),
    }
}

async fn open(
    service: &CompiledService,
    target: Target<'_>,
    client: Option<&Peer>,
    alpn: Alpn,
) -> Result<Opened, Failure> {
    let failed = |e| Failure::new(Reason::ConnectFailed, format_args!("{}: {e}", target.label));
    let mut socket = dial(target.address).await.map_err(failed)?;
    if let Some(version) = service.service.proxy_protocol {
        let version = match version {
            ProxyVersion::V1 => Version::V1,
            ProxyVersion::V2 => Version::V2,
        };
        let addresses = client.and_then(|client| client.addresses);
        proxy_protocol::send(&mut socket, version, addresses).await.map_err(failed)?;
    }
    let Some(tls) = &service.tls else {
        return Ok(Opened { io: Io::Plain(socket), http2: false });
    };
    let fault = |cause: &dyn fmt::Display| {
        Failure::new(Reason::UpstreamTls, format_args!("{}: {cause}", target.label))
    };
    // Both were read when the configuration was compiled, which refuses one without either.
    let name = service.server_name.as_ref().or(target.server_name);
    let name = name.ok_or_else(|| fault(&"no name to verify"))?.clone();
    let connector = TlsConnector::from(Arc::clone(tls));
    let handshake = match alpn {
        Alpn::AsConfigured => connector.connect(name, socket),
        Alpn::Unasked => connector.with_alpn(Vec::new()).connect(name, socket),
        Alpn::Http1 => connector.with_alpn(vec![b"http/1.1".to_vec()]).connect(name, socket),
        Alpn::Http2 => connector.with_alpn(vec![b"h2".to_vec()]).connect(name, socket),
    };
    let stream = handshake.await.map_err(|error| fault(&error))?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Opened { io: Io::TlsClient(Box::new(stream)), http2 })
}

async fn dial(address: &Address) -> io::Result<Socket> {
    let tcp = match address {
        Address::Unix(path) => return Ok(Socket::Unix(UnixStream::connect(path).await?)),
        Address::Ip(address) => TcpStream::connect(address).await?,
        // Looked up on the runtime's blocking threads, never on the worker.
        Address::Name { host, port } => TcpStream::connect((&**host, *port)).await?,
    };
    tcp.set_nodelay(true)?;
    Ok(Socket::Tcp(tcp))
}
