//! Opening a connection to an endpoint, TLS included.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use portcullis_config::model::{Address, ProxyVersion};
use portcullis_core::{Failure, Reason};
use portcullis_wire::proxy_protocol::{self, Version};
use portcullis_wire::{Io, Socket, Upstream, tls};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;

use crate::forwarding::Peer;
use crate::snapshot::{CompiledService, EndpointState};

/// Opens a connection for HTTP before `due`.
///
/// # Errors
/// [`Reason::ConnectFailed`], [`Reason::UpstreamTls`] or [`Reason::ConnectTimeout`].
pub(crate) async fn connect(
    service: &CompiledService,
    endpoint: &EndpointState,
    client: &Peer,
    due: Instant,
) -> Result<Upstream, Failure> {
    in_time(due, endpoint, steps(service, endpoint, client, service.tls.clone()))
        .await
        .map(Upstream::over)
}

/// Opens a connection for bytes of whatever kind before `due`.
///
/// # Errors
/// As for [`connect`].
pub(crate) async fn open(
    service: &CompiledService,
    endpoint: &EndpointState,
    client: &Peer,
    due: Instant,
) -> Result<Io, Failure> {
    // What will be spoken is the client's affair.
    let tls = service.tls.as_ref().map(|tls| {
        let mut tls = rustls::ClientConfig::clone(tls);
        tls.alpn_protocols.clear();
        Arc::new(tls)
    });
    in_time(due, endpoint, steps(service, endpoint, client, tls)).await
}

async fn in_time(
    due: Instant,
    endpoint: &EndpointState,
    steps: impl Future<Output = Result<Io, Failure>>,
) -> Result<Io, Failure> {
    match timeout_at(due.into(), steps).await {
        Ok(opened) => opened,
        Err(_) => Err(Failure::new(Reason::ConnectTimeout, &endpoint.label)),
    }
}

async fn steps(
    service: &CompiledService,
    endpoint: &EndpointState,
    client: &Peer,
    tls: Option<Arc<rustls::ClientConfig>>,
) -> Result<Io, Failure> {
    let failed = |e| Failure::new(Reason::ConnectFailed, format_args!("{}: {e}", endpoint.label));
    let mut socket = dial(&endpoint.address).await.map_err(failed)?;
    if let Some(version) = service.service.proxy_protocol {
        let version = match version {
            ProxyVersion::V1 => Version::V1,
            ProxyVersion::V2 => Version::V2,
        };
        proxy_protocol::send(&mut socket, version, client.addresses).await.map_err(failed)?;
    }
    match tls {
        None => Ok(Io::Plain(socket)),
        Some(tls) => {
            let name = server_name(service, &endpoint.address)?;
            let stream = TlsConnector::from(tls).connect(name, socket).await.map_err(|e| {
                Failure::new(Reason::UpstreamTls, format_args!("{}: {e}", endpoint.label))
            })?;
            Ok(Io::TlsClient(Box::new(stream)))
        }
    }
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

fn server_name(
    service: &CompiledService,
    address: &Address,
) -> Result<ServerName<'static>, Failure> {
    let configured = service.service.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
    let name = match (configured, address) {
        (Some(name), _) => name,
        (None, Address::Ip(address)) => return Ok(ServerName::IpAddress(address.ip().into())),
        (None, Address::Name { host, .. }) => host,
        (None, Address::Unix(_)) => "localhost",
    };
    tls::server_name(name).map_err(|error| Failure::new(Reason::UpstreamTls, error))
}
