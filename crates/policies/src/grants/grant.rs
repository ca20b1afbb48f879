//! One token: as workers show it, and the task that keeps it fresh.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use portcullis_config::model::{Granter, Name, UpstreamToken, Url};
use portcullis_wire::tls::TlsError;
use tokio::sync::{Notify, watch};

use super::bearer::{Bearer, GrantFault, Shown, bearer};
use super::schedule::{Schedule, milliseconds};
use crate::calls::Caller;
use crate::issuers::{Issuer, Issuers};
use crate::oauth::{Client, TokenFault, TokenReply, Way};

/// The largest reply of an address that is no issuer's.
const LARGEST_REPLY: usize = 256 * 1024;
/// What is added to the time that the metadata of an issuer may take.
const GRACE: Duration = Duration::from_millis(100);

/// A token that the gateway shows to a service. All workers share it.
pub struct Grant {
    service: Name,
    written: Arc<UpstreamToken>,
    client: Client,
    from: From,
    current: ArcSwapOption<Bearer>,
    counts: Arc<Counts>,
    /// The number of the last token that the service would not have.
    doubted: AtomicU64,
    wanted: Notify,
    /// How often it was tried to get one.
    tries: watch::Sender<u64>,
    began: Instant,
}

/// Whom it is got from.
enum From {
    Issuer(Arc<Issuer>, Option<Url>),
    Address(Caller, Url, Duration),
}

/// What is counted of a service's token; it goes on when the token is configured anew.
#[derive(Debug, Default)]
struct Counts {
    granted: AtomicU64,
    failed: AtomicU64,
    rejected: AtomicU64,
    /// Numbers tokens.
    last: AtomicU64,
}

/// What there is to tell of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// How long it holds yet, in seconds; nothing as long as there is none.
    pub left: Option<u64>,
    /// How often one was granted.
    pub granted: u64,
    /// How often none was.
    pub failed: u64,
    /// Answers of the service that said that the token is not good.
    pub rejected: u64,
}

impl Grant {
    /// A token of a service, which begins with what the old one of the service has, if that is as
    /// good. May read the system's certificate authorities.
    ///
    /// # Errors
    /// Certificates are of no use.
    pub(super) fn new(
        service: &Name,
        written: &Arc<UpstreamToken>,
        issuers: &Issuers,
        old: Option<&Grant>,
    ) -> Result<Grant, TlsError> {
        let from = match &written.granter {
            Granter::Issuer { name, endpoint } => {
                From::Issuer(issuers.find_or_stranger(name), endpoint.clone())
            }
            Granter::Address { endpoint, tls, timeout } => {
                From::Address(Caller::new(tls)?, endpoint.clone(), *timeout)
            }
        };
        let same = old.filter(|old| old.written.grants_the_same(written));
        Ok(Grant {
            service: service.clone(),
            written: Arc::clone(written),
            client: Client::new(&written.client),
            from,
            current: ArcSwapOption::new(same.and_then(|old| old.current.load_full())),
            counts: old.map(|old| Arc::clone(&old.counts)).unwrap_or_default(),
            doubted: AtomicU64::new(0),
            wanted: Notify::new(),
            tries: watch::channel(0).0,
            began: Instant::now(),
        })
    }

    /// Whether it is configured like this, and got from whom it names now.
    pub(super) fn is(&self, written: &UpstreamToken, issuers: &Issuers) -> bool {
        let stays = match (&self.from, written.issuer()) {
            (From::Issuer(issuer, _), Some(name)) => {
                issuers.find(name).is_some_and(|found| Arc::ptr_eq(issuer, &found))
            }
            (From::Address(..), _) | (From::Issuer(..), None) => true,
        };
        stays && *self.written == *written
    }

    /// The service that it is shown to.
    #[must_use]
    pub fn service(&self) -> &Name {
        &self.service
    }

    /// As configured.
    #[must_use]
    pub fn written(&self) -> &Arc<UpstreamToken> {
        &self.written
    }

    /// The token, if there is one that is good now. Takes no lock and waits for nobody.
    #[must_use]
    pub fn show(&self) -> Option<Shown> {
        let shown = Shown(self.current.load());
        shown.0.as_ref().is_some_and(|bearer| bearer.until > Instant::now()).then_some(shown)
    }

    /// The service would not have the token of this number: another one is got, if it is still that
    /// one that is shown, and not all the time.
    pub fn doubt(&self, number: u64) {
        self.counts.rejected.fetch_add(1, Relaxed);
        let current = self.current.load();
        if current.as_ref().is_some_and(|bearer| bearer.number == number)
            && self.doubted.swap(number, AcqRel) != number
        {
            self.wanted.notify_one();
        }
    }

    /// Waits until it was tried for the first time to get one.
    pub async fn tried(&self) {
        let mut tries = self.tries.subscribe();
        let _ = tries.wait_for(|tries| *tries > 0).await;
    }

    /// What there is to tell of it.
    #[must_use]
    pub fn told(&self) -> Told {
        let current = self.current.load();
        let left = current.as_ref().map(|bearer| bearer.until - Instant::now().min(bearer.until));
        let Counts { granted, failed, rejected, .. } = &*self.counts;
        Told {
            left: left.filter(|left| !left.is_zero()).map(|left| left.as_secs()),
            granted: granted.load(Relaxed),
            failed: failed.load(Relaxed),
            rejected: rejected.load(Relaxed),
        }
    }

    /// Keeps the token fresh until `gone` says that nobody needs it any more.
    pub(crate) async fn tend(self: Arc<Self>, mut gone: watch::Receiver<()>) {
        let mut schedule = Schedule::default();
        if let Some(bearer) = &*self.current.load() {
            // It was taken over from how the token was configured before.
            let left = bearer.until.saturating_duration_since(Instant::now());
            schedule.granted(0, milliseconds(left), self.written.refresh_ahead, 0.0);
        }
        let mut rounds = match &self.from {
            From::Issuer(issuer, _) => Some(issuer.rounds()),
            From::Address(..) => None,
        };
        let mut waits_for_metadata = false;
        loop {
            let due = self.began + Duration::from_millis(schedule.due());
            tokio::select! {
                _ = gone.changed() => return,
                () = self.wanted.notified() => {
                    schedule.doubt();
                    continue;
                }
                () = ended(rounds.as_mut()), if waits_for_metadata => {
                    schedule.reachable(self.now());
                    waits_for_metadata = false;
                    continue;
                }
                () = tokio::time::sleep_until(due.into()) => {}
            }
            let fetched = tokio::select! {
                _ = gone.changed() => return,
                fetched = self.fetch() => fetched,
            };
            waits_for_metadata = matches!(fetched, Err(GrantFault::NoMetadata));
            // What has ended until now, this fetch has seen.
            rounds.as_mut().map(watch::Receiver::mark_unchanged);
            self.tries.send_modify(|tries| *tries += 1);
            let now = self.now();
            match fetched {
                Ok(lifetime) => {
                    self.counts.granted.fetch_add(1, Relaxed);
                    let ahead = self.written.refresh_ahead;
                    schedule.granted(now, milliseconds(lifetime), ahead, fastrand::f64());
                }
                Err(fault) => {
                    let service = &*self.service;
                    tracing::warn!(service, "no token for the service was granted: {fault}");
                    self.counts.failed.fetch_add(1, Relaxed);
                    schedule.failed(now, fastrand::f64());
                }
            }
        }
    }

    /// Gets a token, puts it to use and says how long it holds.
    async fn fetch(&self) -> Result<Duration, GrantFault> {
        // It holds from when it was asked for at the latest.
        let (asked, reply) = match &self.from {
            From::Address(caller, endpoint, timeout) => {
                let way = Way { caller, most: LARGEST_REPLY, timeout: *timeout };
                (Instant::now(), self.ask(way, endpoint).await?)
            }
            From::Issuer(issuer, endpoint) => {
                let mut view = issuer.view();
                if endpoint.is_none()
                    && view.metadata.is_none()
                    && let Some(round) = issuer.ask()
                {
                    round.ended(view.spec.timeout * 2 + GRACE).await;
                    view = issuer.view();
                }
                let told = view.metadata.as_ref();
                let endpoint = match (endpoint, told) {
                    (Some(endpoint), _) => endpoint,
                    (None, None) => return Err(GrantFault::NoMetadata),
                    (None, Some(told)) => told.token.as_ref().ok_or(GrantFault::NoEndpoint)?,
                };
                let way = view.way().ok_or(GrantFault::NoMetadata)?;
                (Instant::now(), self.ask(way, endpoint).await?)
            }
        };
        let number = self.counts.last.fetch_add(1, Relaxed) + 1;
        let (bearer, lifetime) = bearer(&reply, asked, number)?;
        self.current.store(Some(Arc::new(bearer)));
        Ok(lifetime)
    }

    async fn ask(&self, way: Way<'_>, endpoint: &Url) -> Result<TokenReply, TokenFault> {
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(self.written.parameters.iter().map(|(name, value)| (&**name, &**value)));
        self.client.token_over(way, endpoint, &form).await
    }

    fn now(&self) -> u64 {
        milliseconds(self.began.elapsed())
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant").field("service", &self.service).finish_non_exhaustive()
    }
}

/// The next end of a fetch of an issuer; never, if there is none.
async fn ended(rounds: Option<&mut watch::Receiver<u64>>) {
    if let Some(rounds) = rounds
        && rounds.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}
