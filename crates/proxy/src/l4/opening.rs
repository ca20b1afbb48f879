//! Who takes a connection, and the connection to an endpoint of theirs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_config::model::{Balance, ListenerProtocol};
use portcullis_core::{Failure, Reason};
use portcullis_wire::client_hello::{self, Alert, ReceiveError};
use portcullis_wire::{Buffer, Io};
use tokio::time::timeout;

use super::record::Record;
use crate::forwarding::Peer;
use crate::pipeline::forward::takes_over;
use crate::snapshot::{ActiveConnection, ActiveRequest, CompiledService, EndpointState};
use crate::upstream::balance::{self, Asked, Choice, Tried, key};
use crate::upstream::load::ConnectionPlace;
use crate::upstream::outcome::{End, Outcome};
use crate::upstream::{MOST_TRIES, connect};
use crate::worker::{LocalListener, Worker};

/// Both sides of a connection that may flow.
pub(super) struct Opened {
    pub(super) client: Io,
    pub(super) upstream: Io,
    /// What has come from the client already.
    pub(super) received: Option<Buffer>,
    /// It ends when nothing moved for so long.
    pub(super) idle: Duration,
    pub(super) held: Held,
}

/// Finds out who takes the connection and connects to an endpoint of theirs.
///
/// # Errors
/// What came is not what the listener speaks, nobody takes it, or no endpoint could be reached.
/// The client has been told as far as can be.
pub(super) async fn open(
    worker: &Worker,
    listener: &LocalListener,
    peer: &Peer,
    mut client: Io,
    record: &mut Record,
) -> Result<Opened, Failure> {
    let is_tls = record.protocol == ListenerProtocol::TlsPassthrough;
    let opened = steps(worker, listener, peer, &mut client, record).await;
    match opened {
        Ok((upstream, received, idle, held)) => {
            Ok(Opened { client, upstream, received, idle, held })
        }
        Err(failure) => {
            match failure.reason {
                Reason::NoRoute if is_tls => {
                    client_hello::refuse(&mut client, Alert::UnrecognizedName).await;
                }
                Reason::BadClientHello | Reason::HeadTimeout | Reason::ClientGone => {}
                _ if is_tls => client_hello::refuse(&mut client, Alert::InternalError).await,
                // An end would look as if somebody had been there.
                _ => client.reset_on_close(),
            }
            Err(failure)
        }
    }
}

type Parts = (Io, Option<Buffer>, Duration, Held);

/// What a connection counts towards for as long as it lives.
#[derive(Debug)]
pub(super) struct Held {
    _active: ActiveConnection,
    _place: Option<ConnectionPlace>,
}

async fn steps(
    worker: &Worker,
    listener: &LocalListener,
    peer: &Peer,
    client: &mut Io,
    record: &mut Record,
) -> Result<Parts, Failure> {
    let mut received = None;
    if record.protocol == ListenerProtocol::TlsPassthrough {
        let limit = listener.settings().listener.timeouts.head;
        let (name, bytes) = hello(client, limit).await?;
        record.sni = name;
        received = Some(bytes);
    }
    // Held no longer than needed: the connection may outlive many configurations.
    let snapshot = worker.snapshot();
    let taken =
        snapshot.tcp.get(&listener.name).and_then(|names| names.find(record.sni.as_deref()));
    let route = Arc::clone(taken.ok_or(Reason::NoRoute)?);
    record.taken(worker, &route, snapshot.metrics);
    let slot = balance::share(&route.services, route.total_weight);
    let service = slot.and_then(|slot| snapshot.services.get(slot)?.clone());
    let mut service = service.ok_or(Reason::NoEndpoint)?;
    loop {
        record.service = Some(Arc::clone(&service.service.name));
        let limit = route.route.connect.unwrap_or(service.service.timeouts.connect);
        let backup = service.backup.and_then(|slot| snapshot.services.get(slot)?.clone());
        let reached = if backup.is_some() && balance::is_down(&service, worker) {
            Err(Reason::NoEndpoint.into())
        } else {
            reach(worker, &service, peer, limit, record).await
        };
        match reached {
            Ok((upstream, held)) => {
                record.connected = Some(record.begun.elapsed());
                let idle = route.route.idle.unwrap_or(service.service.timeouts.tunnel);
                return Ok((upstream, received, idle, held));
            }
            Err(failure) => {
                // No way over backups leads back, so this ends.
                let backup = backup.filter(|_| takes_over(&failure));
                service.state.series.shard(worker.id).passed_on.add(backup.is_some().into());
                service = backup.ok_or(failure)?;
            }
        }
    }
}

/// Reads the client's first message and the name that it asks for.
async fn hello(client: &mut Io, limit: Duration) -> Result<(Option<Box<str>>, Buffer), Failure> {
    match timeout(limit, client_hello::receive(client)).await {
        Ok(Ok(received)) => Ok(received),
        Ok(Err(error @ ReceiveError::NoHello(_))) => {
            Err(Failure::new(Reason::BadClientHello, error))
        }
        Ok(Err(error)) => Err(Failure::new(Reason::ClientGone, error)),
        Err(_) => Err(Reason::HeadTimeout.into()),
    }
}

/// Connects to an endpoint, and where that fails to others, each once.
async fn reach(
    worker: &Worker,
    service: &CompiledService,
    peer: &Peer,
    limit: Duration,
    record: &mut Record,
) -> Result<(Io, Held), Failure> {
    let mut tried = Tried::default();
    let key = match &service.service.balance {
        Balance::Hash(hash) => key(hash, &Asked { client: peer.ip, http: None }),
        _ => None,
    };
    let mut failure = Failure::from(Reason::NoEndpoint);
    for _ in 0..MOST_TRIES {
        let choice = Choice { tried: tried.as_slice(), stuck: None, key };
        let chosen = balance::choose(service, worker, &choice);
        let Some(chosen) = chosen.filter(|chosen| !choice.tried.contains(chosen)) else { break };
        tried.push(chosen);
        let _pass = service.ask(worker).map_err(|(failure, _)| failure)?;
        let place = service.place(worker)?;
        let endpoint: &Arc<EndpointState> = &service.endpoints[chosen];
        record.endpoint = Some(Arc::clone(endpoint));
        let (endpoint_state, state) = (Arc::clone(endpoint), Arc::clone(&service.state));
        let active = ActiveRequest::begin(service, endpoint_state, state, worker.id);
        let alpn = connect::Alpn::Unasked;
        let begun = Instant::now();
        let due = begun + limit;
        match connect::connect(service, endpoint, Some(peer), alpn, due).await {
            Ok(opened) => {
                worker.metrics.upstream_connections.add(1);
                service.report(worker, endpoint, &Outcome { end: End::Connected, begun });
                return Ok((opened.io, Held { _active: active, _place: place }));
            }
            Err(failed) => {
                let end = End::Failed(failed.reason);
                service.report(worker, endpoint, &Outcome { end, begun });
                tracing::debug!(endpoint = endpoint.label, error = %failed, "tries another");
                failure = failed;
            }
        }
    }
    Err(failure)
}
