//! One active check of one endpoint: over the connection that the last one left, or a new one.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_config::model::{ActiveCheck, Address, CheckKind, Protocol};
use portcullis_core::health::CheckResult;
use portcullis_core::{Failure, Reason};
use portcullis_wire::{Upstream, h2};
use rustls::pki_types::ServerName;
use tokio::task::{JoinHandle, spawn_local, unconstrained};

use super::http::{self, Answered};
use crate::snapshot::{CompiledService, EndpointState};
use crate::upstream::connect::{self, Alpn, Target};

/// Connections are kept from one check to the next if that is no longer than this: most servers
/// close an idle one soon after.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// Why a check failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) result: CheckResult,
    pub(super) detail: String,
}

impl Fault {
    pub(super) fn new(result: CheckResult, detail: impl fmt::Display) -> Fault {
        Fault { result, detail: detail.to_string() }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Fault {
        let result = match failure.reason {
            Reason::ConnectTimeout => CheckResult::Timeout,
            Reason::UpstreamTls => CheckResult::Tls,
            _ => CheckResult::Connect,
        };
        Fault { result, detail: failure.detail }
    }
}

/// Checks one endpoint, time and again.
#[derive(Debug)]
pub(super) struct Checker {
    address: Address,
    label: String,
    server_name: Option<ServerName<'static>>,
    /// The settings that the connection was opened for.
    active: Arc<ActiveCheck>,
    kept: Option<Kept>,
}

/// A connection between two checks.
#[derive(Debug)]
struct Kept {
    way: Way,
    tls: Option<Arc<rustls::ClientConfig>>,
}

#[derive(Debug)]
enum Way {
    H1(Upstream),
    H2(Shared),
}

/// A connection of HTTP/2 and the task that moves its frames.
#[derive(Debug)]
struct Shared {
    client: h2::Client,
    driver: JoinHandle<()>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Checker {
    pub(super) fn new(endpoint: &EndpointState, active: &Arc<ActiveCheck>) -> Checker {
        let address = elsewhere(&endpoint.address, active.port);
        Checker {
            label: address.to_string(),
            address,
            server_name: endpoint.server_name.clone(),
            active: Arc::clone(active),
            kept: None,
        }
    }

    /// Takes over new settings.
    pub(super) fn adopt(&mut self, endpoint: &EndpointState, active: &Arc<ActiveCheck>) {
        if *self.active != **active {
            *self = Checker::new(endpoint, active);
        }
    }

    /// Checks once, within the time that the settings give.
    pub(super) async fn check(&mut self, service: &CompiledService) -> Result<(), Fault> {
        let limit = self.active.timeout;
        let due = Instant::now() + limit;
        match tokio::time::timeout_at(due.into(), self.ask(service, due)).await {
            Ok(checked) => checked,
            Err(_) => {
                self.kept = None;
                Err(Fault::new(CheckResult::Timeout, format_args!("no answer within {limit:?}")))
            }
        }
    }

    async fn ask(&mut self, service: &CompiledService, due: Instant) -> Result<(), Fault> {
        if let CheckKind::Tcp = self.active.kind {
            connect::connect_to(service, self.target(), None, Alpn::Unasked, due).await?;
            return Ok(());
        }
        if let Some(kept) = self.take_kept(service).await {
            let (answered, way) = self.exchange(service, kept.way).await;
            self.keep(service, way);
            // Closed in between, which endpoints may do with idle connections.
            if !matches!(answered, Answered::Nothing(_)) {
                return answered.into();
            }
        }
        let way = self.open(service, due).await?;
        let (answered, way) = self.exchange(service, way).await;
        self.keep(service, way);
        answered.into()
    }

    fn target(&self) -> Target<'_> {
        Target {
            address: &self.address,
            label: &self.label,
            server_name: self.server_name.as_ref(),
        }
    }

    /// The connection that the last check left, if it is still good.
    async fn take_kept(&mut self, service: &CompiledService) -> Option<Kept> {
        let mut kept = self.kept.take()?;
        if !crate::upstream::pool::same_tls(&kept.tls, &service.tls) {
            return None;
        }
        // Outside the task's budget: with none left a closed connection would look quiet.
        let quiet = unconstrained(poll_fn(|cx| {
            std::task::Poll::Ready(match &mut kept.way {
                Way::H1(up) => up.is_quiet(cx),
                Way::H2(shared) => !shared.driver.is_finished() && shared.client.is_open(cx),
            })
        }));
        quiet.await.then_some(kept)
    }

    fn keep(&mut self, service: &CompiledService, way: Option<Way>) {
        if let Some(way) = way.filter(|_| self.active.interval <= KEPT_FOR) {
            self.kept = Some(Kept { way, tls: service.tls.clone() });
        }
    }

    /// Opens a connection in the version that the check speaks.
    async fn open(&self, service: &CompiledService, due: Instant) -> Result<Way, Fault> {
        let grpc = matches!(self.active.kind, CheckKind::Grpc { .. });
        let protocol = service.service.protocol;
        let alpn = match protocol {
            _ if grpc => Alpn::Http2,
            Protocol::Http1 => Alpn::Http1,
            Protocol::Http2 | Protocol::Auto => Alpn::AsConfigured,
        };
        let opened = connect::connect_to(service, self.target(), None, alpn, due).await?;
        let needs_http2 = grpc || protocol == Protocol::Http2;
        if service.tls.is_some() && !opened.http2 && needs_http2 {
            return Err(Fault::new(CheckResult::Tls, "it does not choose h2 (ALPN)"));
        }
        if !needs_http2 && !opened.http2 {
            return Ok(Way::H1(Upstream::over(opened.io)));
        }
        let shaken = h2::Client::handshake(opened.io).await;
        let (client, driver) = shaken.map_err(|error| Fault::new(CheckResult::Malformed, error))?;
        // How it ends shows in what is asked over it.
        let driver = spawn_local(async move { drop(driver.await) });
        Ok(Way::H2(Shared { client, driver }))
    }

    /// Asks over a connection, and gives it back if it can be used again.
    async fn exchange(&self, service: &CompiledService, way: Way) -> (Answered, Option<Way>) {
        match way {
            Way::H1(mut up) => {
                let answered = self.ask_over(service, &mut up).await;
                let again = up.is_reusable();
                (answered, again.then_some(Way::H1(up)))
            }
            Way::H2(shared) => {
                let mut up = shared.client.stream();
                let answered = self.ask_over(service, &mut up).await;
                let again = !matches!(answered, Answered::Nothing(_)) && !up.is_lost();
                (answered, again.then_some(Way::H2(shared)))
            }
        }
    }

    async fn ask_over(&self, service: &CompiledService, up: &mut Upstream) -> Answered {
        match &self.active.kind {
            CheckKind::Http(check) => {
                let host = self.host(service, check.host.as_deref());
                http::request(up, check, host).await
            }
            CheckKind::Grpc { service: name, host } => {
                let host = self.host(service, host.as_deref());
                http::call(up, name, host).await
            }
            CheckKind::Tcp => Answered::Passed,
        }
    }

    /// What stands in `Host`.
    fn host<'a>(&'a self, service: &'a CompiledService, own: Option<&'a str>) -> &'a str {
        use portcullis_config::model::HostPolicy;
        match (own, &service.service.host, &self.address) {
            (Some(host), _, _) => host,
            (None, HostPolicy::Set(host), _) => host,
            (None, _, Address::Unix(_)) => "localhost",
            (None, _, _) => &self.label,
        }
    }
}

/// The address with another port, if another is to be checked.
fn elsewhere(address: &Address, port: Option<u16>) -> Address {
    let mut address = address.clone();
    if let Some(other) = port {
        match &mut address {
            Address::Ip(ip) => ip.set_port(other),
            Address::Name { port, .. } => *port = other,
            Address::Unix(_) => {}
        }
    }
    address
}
