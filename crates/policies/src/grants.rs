//! Tokens that the gateway gets for itself (client credentials, RFC 6749, 4.4) and shows to services.
//! The thread of issuers gets them in the background, ahead of their end; workers show what is
//! there, without a lock.
//!
//! A token belongs to a service by its name. It outlives a configuration for as long as what is
//! asked for stays the same; a failing issuer takes nothing away before it expires.

mod bearer;
mod grant;
mod schedule;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use portcullis_config::model::{Name, UpstreamToken};
use portcullis_wire::tls::TlsError;
use tokio::sync::watch;

pub use bearer::Shown;
pub use grant::{Grant, Told};

use crate::issuers::Issuers;
use crate::registry::lock;

/// The tokens of services in use.
#[derive(Debug, Default)]
pub struct Grants {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    held: BTreeMap<Name, Held>,
    /// Of a configuration that is not in use yet.
    begun: Vec<Held>,
}

/// A token, and what ends the task that tends it.
#[derive(Debug)]
struct Held {
    grant: Arc<Grant>,
    _tended: watch::Sender<()>,
}

impl Grants {
    /// The token of a service as it will be once a configuration is in use; the one that is there,
    /// if nothing has changed. Nothing connects until [`Grants::commit`]. May read the system's
    /// certificate authorities.
    ///
    /// # Errors
    /// Certificates are of no use.
    pub fn prepare(
        &self,
        service: &Name,
        written: &Arc<UpstreamToken>,
        issuers: &Issuers,
    ) -> Result<Arc<Grant>, TlsError> {
        let old = lock(&self.inner).held.get(service).map(|held| Arc::clone(&held.grant));
        match old {
            Some(old) if old.is(written, issuers) => Ok(old),
            old => Grant::new(service, written, issuers, old.as_deref()).map(Arc::new),
        }
    }

    /// Begins to get the tokens that are new and not there, before a configuration with all of
    /// these is in use, and gives them.
    pub fn begin<'g>(
        &self,
        grants: impl Iterator<Item = &'g Arc<Grant>>,
        issuers: &Issuers,
    ) -> Vec<Arc<Grant>> {
        let mut inner = lock(&self.inner);
        let Inner { held, begun } = &mut *inner;
        let is_held = |grant: &Arc<Grant>| {
            held.get(grant.service()).is_some_and(|one| Arc::ptr_eq(&one.grant, grant))
        };
        let fresh: Vec<_> =
            grants.filter(|one| one.show().is_none() && !is_held(one)).cloned().collect();
        *begun = fresh.iter().map(|grant| Held::begin(grant, issuers)).collect();
        fresh
    }

    /// Puts a configuration to use with these tokens: those that are new are got, those that are
    /// gone are forgotten.
    pub fn commit<'g>(&self, grants: impl Iterator<Item = &'g Arc<Grant>>, issuers: &Issuers) {
        let mut inner = lock(&self.inner);
        let Inner { held, begun } = &mut *inner;
        let mut known: Vec<Held> =
            std::mem::take(held).into_values().chain(begun.drain(..)).collect();
        for grant in grants {
            let place = known.iter().position(|one| Arc::ptr_eq(&one.grant, grant));
            let one = match place {
                Some(place) => known.swap_remove(place),
                None => Held::begin(grant, issuers),
            };
            held.insert(grant.service().clone(), one);
        }
    }

    /// The tokens, by the names of their services.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Grant>> {
        lock(&self.inner).held.values().map(|held| Arc::clone(&held.grant)).collect()
    }
}

impl Held {
    fn begin(grant: &Arc<Grant>, issuers: &Issuers) -> Held {
        let (sender, gone) = watch::channel(());
        issuers.tend(Arc::clone(grant), gone);
        Held { grant: Arc::clone(grant), _tended: sender }
    }
}
