//! Policies: all that apply to a request are asked before any service is. They are answered at once
//! but where a request has to wait for its turn.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::{Instant, SystemTime};

use portcullis_config::model::KeyPart;
use portcullis_core::{Failure, Reason};
use portcullis_policies::{Applying, Facts, Identity, Later, Now, Refusal, Why, nanos};
use portcullis_wire::RequestHead;
use portcullis_wire::tls::ClientCertificate;

use super::{Exchange, host_of};
use crate::client::Client;
use crate::path::Normal;
use crate::router::{self, Params};
use crate::snapshot::{CompiledRoute, CompiledService, Snapshot};
use crate::worker::Worker;

/// The limits of a request, the narrowest first: those that its caller brings along, its route's,
/// its service's, those for all. One that no route takes has those that stand at the top.
pub(crate) fn applying<'s>(
    snapshot: &'s Snapshot,
    identity: &Identity,
    route: Option<&'s CompiledRoute>,
    service: Option<&'s CompiledService>,
) -> Applying<'s> {
    let mut applying = Applying::default();
    snapshot.directory.limits(identity, |brought| applying.push(brought));
    let service = service.map(|service| &service.policies);
    let wider = route.map(|route| &route.policies).into_iter().chain(service);
    wider.chain([&snapshot.policies]).for_each(|layer| applying.push(&layer.limits));
    applying
}

/// What policies can ask about a request.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a RequestHead,
    /// The normalised path.
    pub(crate) path: &'a [u8],
    pub(crate) params: &'a Params,
    pub(crate) client: Option<IpAddr>,
    pub(crate) listener: &'a str,
    /// None where no route takes it.
    pub(crate) route: Option<&'a str>,
    pub(crate) service: Option<&'a str>,
    /// Who calls, as far as that is known.
    pub(crate) identity: Option<&'a Identity>,
    /// The certificate of the client; verified.
    pub(crate) certificate: Option<&'a ClientCertificate>,
}

impl Facts for Asked<'_> {
    fn client(&self) -> Option<IpAddr> {
        self.client
    }

    fn values(&self, part: &KeyPart, each: &mut dyn FnMut(&[u8])) {
        match part {
            KeyPart::Ip { .. } => {}
            KeyPart::Route => self.route.iter().for_each(|name| each(name.as_bytes())),
            KeyPart::Service => self.service.iter().for_each(|name| each(name.as_bytes())),
            KeyPart::Listener => each(self.listener.as_bytes()),
            KeyPart::Host => host(host_of(self.request.authority()), each),
            KeyPart::Method => each(self.request.method()),
            KeyPart::Header(name) => self.header(name, each),
            KeyPart::Cookie(name) => {
                router::cookies(&self.request.fields, name.as_bytes()).for_each(each);
            }
            KeyPart::Query(name) => router::each_query_value(self.request.query(), name, each),
            KeyPart::Param(name) => {
                self.params.value(name, self.path).into_iter().for_each(each);
            }
            KeyPart::Claim(path) => {
                self.identity.into_iter().for_each(|identity| identity.claim(path, each));
            }
            KeyPart::Consumer => {
                let name = self.identity.and_then(Identity::consumer_name);
                name.into_iter().for_each(|name| each(name.as_bytes()));
            }
            KeyPart::Plan => {
                let plan = self.identity.and_then(Identity::plan);
                plan.into_iter().for_each(|name| each(name.as_bytes()));
            }
            KeyPart::Group => {
                let groups = self.identity.map_or(&[][..], Identity::groups);
                groups.first().into_iter().for_each(|name| each(name.as_bytes()));
            }
        }
    }

    fn header(&self, name: &str, each: &mut dyn FnMut(&[u8])) {
        self.request.fields.all(name.as_bytes()).for_each(each);
    }

    fn certificate(&self) -> Option<&ClientCertificate> {
        self.certificate
    }
}

/// A host in lower case, and without the dot that may end it: they name the same.
fn host(host: &[u8], each: &mut dyn FnMut(&[u8])) {
    /// The longest name that DNS knows (RFC 1035, 2.3.4).
    const LONGEST: usize = 255;
    let host = host.strip_suffix(b".").unwrap_or(host);
    let mut lower = [0; LONGEST];
    match lower.get_mut(..host.len()) {
        Some(lower) => {
            lower.copy_from_slice(host);
            lower.make_ascii_lowercase();
            each(lower);
        }
        // No name, and no address either: all of these together.
        None => each(b""),
    }
}

/// Asks the policies, and waits until the request may pass.
///
/// # Errors
/// The refusal of one of them; nothing is counted then.
pub(super) async fn ask<'s>(
    exchange: &mut Exchange<'s, '_>,
    applying: Applying<'s>,
    normal: Normal,
) -> Result<(), Failure> {
    if !applying.is_empty()
        && let Some(later) = admit(exchange, applying, normal)?
    {
        // A future of its own, for requests that wait are few, and it is large.
        Box::pin(wait(exchange, applying, later)).await?;
    }
    Ok(())
}

/// Asks the policies. Gives what the request has to wait for, if anything.
///
/// # Errors
/// The refusal of one of them; nothing is counted then.
fn admit<'s>(
    exchange: &mut Exchange<'s, '_>,
    applying: Applying<'s>,
    normal: Normal,
) -> Result<Option<Later<'s>>, Failure> {
    let Exchange { serving, scratch, record, seats, .. } = exchange;
    let request = &scratch.request;
    let asked = Asked {
        request,
        path: if normal == Normal::AsIs { request.path() } else { &scratch.path },
        params: &scratch.params,
        client: record.client,
        listener: &serving.settings.listener.name,
        route: record.route.map(|route| &*route.route.name),
        service: record.service.map(|service| &*service.service.name),
        identity: Some(&scratch.identity),
        certificate: None,
    };
    let now = now(record.started);
    match scratch.work.admit(applying, &asked, now, serving.worker.id, seats) {
        Ok(None) => {
            scratch.work.tell(applying, &mut scratch.added);
            Ok(None)
        }
        Ok(later) => Ok(later),
        Err(refusal) => {
            scratch.work.tell_refused(applying, &refusal, now, &mut scratch.added);
            record.policy = Some(refusal.running.policy.name());
            Err(failure(&refusal))
        }
    }
}

/// Waits until the policies let the request pass.
///
/// # Errors
/// One of them does not after all, or nobody waits for the reply any more; nothing is counted then.
async fn wait<'s>(
    exchange: &mut Exchange<'s, '_>,
    applying: Applying<'s>,
    later: Later<'s>,
) -> Result<(), Failure> {
    let Exchange { serving, client, scratch, record, seats, .. } = exchange;
    let worker = serving.worker;
    let waiting = scratch.work.wait(later, applying, worker.id, seats);
    let waited = unless_gone(worker, client, waiting).await;
    let now = now(Instant::now());
    match waited {
        Ok(Ok(())) => {
            scratch.work.tell(applying, &mut scratch.added);
            Ok(())
        }
        Ok(Err(refusal)) => {
            scratch.work.refused(applying, &refusal, now, worker.id, seats);
            scratch.work.tell_refused(applying, &refusal, now, &mut scratch.added);
            record.policy = Some(refusal.running.policy.name());
            Err(failure(&refusal))
        }
        Err(failure) => {
            scratch.work.give_back(applying, now, seats);
            Err(failure)
        }
    }
}

/// Gives back what the policies counted for a request that was not served after all.
pub(super) fn give_back<'s>(exchange: &mut Exchange<'s, '_>, applying: Applying<'s>) {
    let Exchange { scratch, seats, .. } = exchange;
    scratch.work.give_back(applying, now(Instant::now()), seats);
}

/// Waits, unless the worker ends or the client goes away: it may take long, so that is worth a look.
pub(super) async fn unless_gone<T>(
    worker: &Worker,
    client: &mut Client,
    waiting: impl Future<Output = T>,
) -> Result<T, Failure> {
    let mut waiting = pin!(waiting);
    poll_fn(|cx| {
        if let Poll::Ready(waited) = waiting.as_mut().poll(cx) {
            return Poll::Ready(Ok(waited));
        }
        if worker.is_cut() {
            return Poll::Ready(Err(Reason::Shutdown.into()));
        }
        client.down.poll_gone(cx).map(|error| Err(Failure::new(Reason::ClientGone, error)))
    })
    .await
}

fn now(steady: Instant) -> Now {
    let wall = || {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    };
    Now { steady: nanos(steady), wall }
}

fn failure(refusal: &Refusal<'_>) -> Failure {
    let reason = match refusal.why {
        Why::Rate => Reason::RateLimited,
        Why::Quota => Reason::QuotaExhausted,
        Why::Concurrency => Reason::TooManyAtOnce,
        Why::Key => Reason::KeyMissing,
    };
    Failure::new(reason, format_args!("{}", refusal.running.counted().id))
}
