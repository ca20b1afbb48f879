//! Opening a connection to an endpoint, TLS included.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use portcullis_config::model::Address;
use portcullis_core::{Failure, Reason};
use portcullis_wire::{Io, Socket, Upstream};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout_at;
use tokio_rustls::TlsConnector;

use crate::snapshot::{CompiledService, EndpointState};

/// Opens a connection before `due`.
///
/// # Errors
/// [`Reason::ConnectFailed`], [`Reason::UpstreamTls`] or [`Reason::ConnectTimeout`].
pub(crate) async fn connect(
    service: &CompiledService,
    endpoint: &EndpointState,
    due: Instant,
) -> Result<Upstream, Failure> {
    match timeout_at(due.into(), open(service, endpoint)).await {
        Ok(opened) => opened,
        Err(_) => Err(Failure::new(Reason::ConnectTimeout, &endpoint.label)),
    }
}

async fn open(service: &CompiledService, endpoint: &EndpointState) -> Result<Upstream, Failure> {
    let socket = dial(&endpoint.address).await.map_err(|e| {
        Failure::new(Reason::ConnectFailed, format_args!("{}: {e}", endpoint.label))
    })?;
    let io = match &service.tls {
        None => Io::Plain(socket),
        Some(tls) => {
            let fault = |cause: &dyn fmt::Display| {
                Failure::new(Reason::UpstreamTls, format_args!("{}: {cause}", endpoint.label))
            };
            // Both were read when the configuration was compiled, which refuses one without either.
            let name = service.server_name.as_ref().or(endpoint.server_name.as_ref());
            let name = name.ok_or_else(|| fault(&"no name to verify"))?.clone();
            let connecting = TlsConnector::from(Arc::clone(tls)).connect(name, socket);
            let stream = connecting.await.map_err(|error| fault(&error))?;
            Io::TlsClient(Box::new(stream))
        }
    };
    Ok(Upstream::over(io))
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
