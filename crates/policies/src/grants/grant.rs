//! One token: as workers show it, and the task that keeps it fresh.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwapOption, Guard};
use portcullis_config::model::{Granter, Name, UpstreamToken, Url};
use portcullis_wire::tls::TlsError;
use tokio::sync::{Notify, watch};
use zeroize::Zeroizing;

use super::schedule::{Schedule, milliseconds};
use crate::calls::Caller;
use crate::issuers::{Issuer, Issuers};
use crate::oauth::{Client, TokenFault, TokenReply, Way};

/// How long a token is taken to hold if nobody says.
const USUAL_LIFETIME: u64 = 300;
/// The longest that one is taken to hold, in seconds.
const LONGEST_LIFETIME: u64 = 30 * 86_400;
/// The longest token.
const LONGEST_TOKEN: usize = 16 * 1024;
/// The largest reply of an address that is no issuer's.
const LARGEST_REPLY: usize = 256 * 1024;
/// A token is not shown any more for this long before it expires, or for a tenth of its time.
const MARGIN: Duration = Duration::from_secs(2);
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
    began: Instant,
}

/// Whom it is got from.
enum From {
    Issuer(Arc<Issuer>, Option<Url>),
    Address(Caller, Url, Duration),
}

/// A token that was granted.
struct Bearer {
    /// The whole value of `Authorization`.
    value: Zeroizing<Vec<u8>>,
    /// When it is not shown any more.
    until: Instant,
    number: u64,
}

/// A token that may be shown now.
pub struct Shown(Guard<Option<Arc<Bearer>>>);

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

/// Why no token was granted.
#[derive(Debug, thiserror::Error)]
enum GrantFault {
    #[error("the metadata of the issuer are not there yet")]
    NoMetadata,
    #[error("the metadata of the issuer do not say where tokens are granted")]
    NoEndpoint,
    #[error("{0}")]
    Token(#[from] TokenFault),
    #[error("what was granted is no token of the kind `Bearer`")]
    Kind,
    #[error("what was granted cannot stand in a header field")]
    Characters,
    #[error("what was granted has expired already")]
    Expired,
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

impl Shown {
    /// Its number among those of the service.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.0.as_ref().map_or(0, |bearer| bearer.number)
    }
}

/// The whole value of `Authorization`.
impl Deref for Shown {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |bearer| &bearer.value)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("number", &self.number()).finish_non_exhaustive()
    }
}

/// What was granted, as it is shown, and how long it holds.
fn bearer(
    reply: &TokenReply,
    asked: Instant,
    number: u64,
) -> Result<(Bearer, Duration), GrantFault> {
    if !reply.token_type.eq_ignore_ascii_case("bearer") {
        return Err(GrantFault::Kind);
    }
    let token = reply.access_token.as_bytes();
    // The characters of RFC 6749, A.12, but for the space, which would end it.
    if token.len() > LONGEST_TOKEN || !token.iter().all(u8::is_ascii_graphic) {
        return Err(GrantFault::Characters);
    }
    let lifetime = reply.expires_in.unwrap_or(USUAL_LIFETIME).min(LONGEST_LIFETIME);
    if lifetime == 0 {
        return Err(GrantFault::Expired);
    }
    let lifetime = Duration::from_secs(lifetime);
    let until = asked + lifetime - MARGIN.min(lifetime / 10);
    let value = Zeroizing::new([b"Bearer ", token].concat());
    Ok((Bearer { value, until, number }, lifetime))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(changes: impl FnOnce(&mut TokenReply)) -> TokenReply {
        let mut reply = TokenReply {
            access_token: "a.b-c".into(),
            token_type: "bearer".into(),
            expires_in: Some(60),
            refresh_token: None,
            id_token: None,
            scope: None,
        };
        changes(&mut reply);
        reply
    }

    #[test]
    fn a_token_is_shown_until_shortly_before_it_expires() {
        let asked = Instant::now();
        let (bearer, lifetime) = bearer(&reply(|_| {}), asked, 1).unwrap();
        assert_eq!(&**bearer.value, b"Bearer a.b-c");
        assert_eq!(lifetime, Duration::from_secs(60));
        assert_eq!(bearer.until, asked + Duration::from_secs(58));
        let short = reply(|reply| reply.expires_in = Some(1));
        let (short, _) = super::bearer(&short, asked, 1).unwrap();
        assert_eq!(short.until, asked + Duration::from_millis(900));
        let unsaid = reply(|reply| reply.expires_in = None);
        assert_eq!(super::bearer(&unsaid, asked, 1).unwrap().1, Duration::from_secs(300));
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        let asked = Instant::now();
        let fault = |changes: fn(&mut TokenReply)| bearer(&reply(changes), asked, 1).err();
        assert!(matches!(fault(|r| r.token_type = "DPoP".into()), Some(GrantFault::Kind)));
        assert!(matches!(fault(|r| r.expires_in = Some(0)), Some(GrantFault::Expired)));
        for odd in ["a b", "a\r\nX-Admin: 1", "\u{e9}", "a\0", &"x".repeat(LONGEST_TOKEN + 1)] {
            let odd = reply(|reply| reply.access_token = odd.into());
            assert!(matches!(bearer(&odd, asked, 1), Err(GrantFault::Characters)));
        }
        let eternal = reply(|reply| reply.expires_in = Some(u64::MAX));
        assert!(bearer(&eternal, asked, 1).is_ok());
    }
}
