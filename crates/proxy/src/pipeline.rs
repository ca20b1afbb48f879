//! The way of a request, in order. Each step says why it stands where it does.

pub(crate) mod authenticate;
pub(crate) mod browser;
mod content;
mod exchange;
mod fault;
pub(crate) mod forward;
mod grpc;
mod head;
mod login;
mod mirror;
pub(crate) mod policies;
pub(crate) mod record;
pub(crate) mod respond;
pub(crate) mod rules;
pub(crate) mod shed;
pub(crate) mod split;
pub(crate) mod steer;
mod tunnel;
pub(crate) mod upgrade;

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use portcullis_config::model::{Action, Listener};
use portcullis_core::{Failure, Reason};
use portcullis_policies::{Identity, Seat, Work};
use portcullis_wire::{BodyLength, Fields, RequestHead, ResponseHead, Stream, Version};

use crate::client::Client;
use crate::forwarding;
use crate::path::{self, Normal};
use crate::router::{Around, Miss, Params, Request};
use crate::snapshot::{CompiledRoute, ListenerSettings, Snapshot};
use crate::worker::Worker;
use browser::ReplyRules;
use record::Record;
pub(crate) use respond::refuse;

/// Memory that a request needs, lent by the worker so that no request allocates it.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) request: RequestHead,
    pub(crate) response: ResponseHead,
    /// The normalised path, where it differs from the one that came.
    pub(crate) path: Vec<u8>,
    pub(crate) params: Params,
    /// Fields that steps of the pipeline add to the reply, whoever gives it.
    pub(crate) added: Fields,
    /// Who calls.
    pub(crate) identity: Identity,
    /// What policies said of the request.
    pub(crate) work: Work,
    /// A path or location that a template wrote.
    pub(crate) rewritten: Vec<u8>,
    /// A cookie of ours on its way.
    pub(crate) cookie: Vec<u8>,
    /// The key of a WebSocket handshake that is ours and not the client's.
    pub(crate) websocket_key: Vec<u8>,
}

impl Scratch {
    /// Forgets the request and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.request.fields.clear();
        self.response.fields.clear();
        self.added.clear();
        self.identity.clear();
        self.work.clear();
        self.params.clear();
    }
}

/// What stays the same while a request is served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Serving<'s> {
    pub(crate) worker: &'s Rc<Worker>,
    pub(crate) snapshot: &'s Snapshot,
    pub(crate) settings: &'s ListenerSettings,
}

/// A request on its way: what every step needs.
#[derive(Debug)]
pub(crate) struct Exchange<'s, 'c> {
    pub(crate) serving: Serving<'s>,
    pub(crate) client: &'c mut Client,
    pub(crate) scratch: &'c mut Scratch,
    pub(crate) record: Record<'s>,
    /// Places that the request takes where concurrency is limited, until it has ended.
    pub(crate) seats: Vec<Seat<'s>>,
    /// What becomes of the head of its reply.
    pub(crate) rules: ReplyRules<'s>,
}

/// Serves the request whose head is in `scratch`, and leaves behind its log line and counts.
pub(crate) async fn serve(serving: Serving<'_>, client: &mut Client, scratch: &mut Scratch) {
    let record = Record::begin(serving.worker);
    let rules = ReplyRules::default();
    let mut exchange = Exchange { serving, client, scratch, record, seats: Vec::new(), rules };
    if let Err(failure) = answer(&mut exchange).await {
        respond::fail(&mut exchange, failure).await;
    }
    exchange.leave_record();
}

async fn answer(exchange: &mut Exchange<'_, '_>) -> Result<(), Failure> {
    let Exchange { serving, client, scratch, record, .. } = &mut *exchange;
    let listener = &serving.settings.listener;
    let request = &scratch.request;

    // The protocol first: what is meant for us rather than for a service, and what goes in circles.
    if request.is_asterisk() || respond::is_last_hop(request) {
        return respond::options(exchange).await;
    }
    if forwarding::is_loop(&listener.forwarded, &request.fields) {
        return Err(Reason::Loop.into());
    }

    // The path is normalised once and before anything looks at it, so that a route and a policy
    // can never see different ones.
    let normal = path::normalise(request.path(), listener.path, &mut scratch.path)
        .map_err(|fault| Failure::new(Reason::BadPath, fault))?;

    // Who the client is comes before routing, for a route may ask for it.
    record.client =
        forwarding::client_address(&listener.forwarded.trust, &client.peer, &request.fields);

    // A browser that asks for leave does so without credentials, and for another request than the
    // one that it sends: whether that has a route says nothing about this one.
    if request.method() == b"OPTIONS"
        && let Some(cors) = browser::asked_for_leave(exchange, normal)
    {
        return browser::answer(exchange, cors).await;
    }

    let Exchange { serving, scratch, record, .. } = &mut *exchange;
    let (request, snapshot) = (&scratch.request, serving.snapshot);
    let path = match normal {
        Normal::AsIs => request.path(),
        Normal::Rewritten => &scratch.path,
    };

    // What browsers come back to from logging in is the gateway's own, whatever routes there are.
    if let Some(logins) = &snapshot.logins
        && let Some((purpose, parties)) = logins.find(&listener.name, request, path)
    {
        return login::serve(exchange, purpose, &parties, normal).await;
    }

    let route = find(*serving, request, path, record.client, &mut scratch.params);
    let route = match route {
        Ok(route) => route,
        Err(miss) => {
            // Policies for all requests are for these as well: who looks for what is not there is
            // limited like everybody, and pages can read what comes of it.
            let layers = browser::layers(snapshot, None, None);
            browser::enter(exchange, layers)?;
            if let Some(denial) = rules::ask(exchange, layers, normal).await? {
                return respond::denied(exchange, &denial).await;
            }
            let applying = policies::applying(snapshot, &Identity::default(), None, None);
            policies::ask(exchange, applying, normal).await?;
            return Err(match miss {
                Miss::NotFound => Reason::NoRoute.into(),
                Miss::MethodNotAllowed(allowed) => {
                    exchange.record.allow = Some(allowed.join(", "));
                    Reason::MethodNotAllowed.into()
                }
            });
        }
    };
    record.route = Some(route);

    // Which service comes before the policies, for it may have some. Those for browsers are the
    // first, so that pages can read whatever comes after.
    let service = forward::choose_service(exchange, route);
    let chosen = service.as_ref().ok().and_then(|service| service.map(|service| &**service));
    browser::enter(exchange, browser::layers(snapshot, Some(route), chosen))?;
    let service = service?;
    exchange.record.service = service;
    let service = service.map(|service| &**service);

    // Before anything is done for it: a gateway that is late must not be later still.
    shed::turn_away(exchange, route.route.importance)?;

    // Before any service is bothered: content that says itself that it is too large.
    let body_limit =
        route.route.body_limit.unwrap_or(exchange.serving.settings.listener.limits.body);
    check_length(exchange.scratch.request.length, body_limit)?;

    // Who calls comes before all that may go by it.
    if let Some(party) = authenticate::authenticate(exchange, route, service, normal).await? {
        return login::begin(exchange, party).await;
    }

    // Who may not, counts nowhere.
    let layers = browser::layers(snapshot, Some(route), service);
    if let Some(denial) = rules::ask(exchange, layers, normal).await? {
        return respond::denied(exchange, &denial).await;
    }

    let identity = &exchange.scratch.identity;
    let applying = policies::applying(snapshot, identity, Some(route), service);
    policies::ask(exchange, applying, normal).await?;

    let served = act(exchange, route, normal, body_limit).await;
    // Its policies had let it pass, and then there was no room for it: that counts nowhere.
    if let Err(failure) = &served
        && matches!(failure.reason, Reason::Overloaded | Reason::CircuitOpen)
    {
        policies::give_back(exchange, applying);
    }
    served
}

/// Refuses content that says itself that it is too large.
pub(crate) fn check_length(length: BodyLength, limit: Option<u64>) -> Result<(), Failure> {
    match (length, limit) {
        (BodyLength::Exact(length), Some(limit)) if length > limit => {
            Err(Failure::new(Reason::BodyTooLarge, format_args!("{length} bytes of {limit}")))
        }
        _ => Ok(()),
    }
}

fn find<'s>(
    serving: Serving<'s>,
    request: &RequestHead,
    path: &[u8],
    client: Option<IpAddr>,
    params: &mut Params,
) -> Result<&'s Arc<CompiledRoute>, Miss> {
    let listener = &serving.settings.listener;
    serving.snapshot.router.find(&asked(listener, request, path, client), params)
}

/// What the router is asked about a request; `path` is its normalised one.
pub(crate) fn asked<'a>(
    listener: &'a Listener,
    request: &'a RequestHead,
    path: &'a [u8],
    client: Option<IpAddr>,
) -> Request<'a> {
    Request {
        listener: &listener.name,
        host: host_of(request.authority()),
        path,
        query: request.query(),
        method: request.method(),
        fields: &request.fields,
        client: client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
    }
}

/// What templates may name of a request.
pub(crate) fn around(request: &RequestHead) -> Around<'_> {
    Around { host: host_of(request.authority()), query: request.query() }
}

/// An authority without its port.
pub(crate) fn host_of(authority: &[u8]) -> &[u8] {
    let from = memchr::memrchr(b']', authority).unwrap_or(0);
    let colon = memchr::memchr(b':', &authority[from..]);
    colon.map_or(authority, |colon| &authority[..from + colon])
}

async fn act<'s>(
    exchange: &mut Exchange<'s, '_>,
    route: &'s CompiledRoute,
    normal: Normal,
    body_limit: Option<u64>,
) -> Result<(), Failure> {
    let request = &exchange.scratch.request;
    let forwards = matches!(route.route.action, Action::Forward { .. });
    if upgrade::is_connect(request)
        && !(forwards && route.route.upgrade && upgrade::wanted(request, Version::Http11).is_some())
    {
        return Err(Reason::UpgradeRefused.into());
    }
    fault::inject(exchange, &route.route.faults).await?;
    match &route.route.action {
        Action::Forward { rewrite, .. } => {
            let plan = forward::Plan { route, rewrite, normal, body_limit };
            forward::forward(exchange, &plan).await
        }
        Action::Redirect { to, status } => respond::redirect(exchange, normal, to, *status).await,
        Action::Reply(reply) => respond::reply(exchange, reply).await,
    }
}

/// What became of request content that nobody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skipped {
    /// All of it was thrown away.
    Whole,
    /// There is more to come.
    Pending,
    /// The rest cannot be read.
    Broken,
}

/// Throws away request content that is here already, so that a reply that does not need it can
/// leave the connection open.
pub(crate) fn skip_content(client: &mut Client, cx: &mut Context<'_>) -> Skipped {
    loop {
        match client.down.poll_content(cx) {
            Poll::Ready(Ok(true)) => {
                let here = client.down.content().len();
                client.down.consume(here);
            }
            Poll::Ready(Ok(false)) => return Skipped::Whole,
            Poll::Ready(Err(_)) => return Skipped::Broken,
            Poll::Pending => return Skipped::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_lose_their_port() {
        assert_eq!(host_of(b"a.example:80"), b"a.example");
        assert_eq!(host_of(b"[::1]:80"), b"[::1]");
        assert_eq!(host_of(b"[::1]"), b"[::1]");
        assert_eq!(host_of(b""), b"");
    }
}
