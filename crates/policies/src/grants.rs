//! Tokens that the gateway gets for itself (client credentials, RFC 6749, 4.4) and shows to services.
//! The thread of issuers gets them in the background, ahead of their end; workers show what is
//! there, without a lock.
//!
//! A token belongs to a service by its name. It outlives a configuration for as long as what is
//! asked for stays the same; a failing issuer takes nothing away before it expires.

mod grant;
mod schedule;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use portcullis_config::model::{Name, UpstreamToken};
use portcullis_wire::tls::TlsError;
use tokio::sync::watch;

pub use grant::{Grant, Shown, Told};

use crate::issuers::Issuers;
use crate::registry::lock;

/// The tokens of services in use.
#[derive(Debug, Default)]
pub struct Grants {
    held: Mutex<BTreeMap<Name, Held>>,
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
        let old = lock(&self.held).get(service).map(|held| Arc::clone(&held.grant));
        match old {
            Some(old) if old.is(written, issuers) => Ok(old),
            old => Grant::new(service, written, issuers, old.as_deref()).map(Arc::new),
        }
    }

    /// Puts a configuration to use with these tokens: those that are new are got, those that are
    /// gone are forgotten.
    pub fn commit<'g>(&self, grants: impl Iterator<Item = &'g Arc<Grant>>, issuers: &Issuers) {
        let mut held = lock(&self.held);
        let mut old = std::mem::take(&mut *held);
        for grant in grants {
            let name = grant.service().clone();
            let same = old.remove(&name).filter(|one| Arc::ptr_eq(&one.grant, grant));
            let one = same.unwrap_or_else(|| {
                let (sender, gone) = watch::channel(());
                issuers.tend(Arc::clone(grant), gone);
                Held { grant: Arc::clone(grant), _tended: sender }
            });
            held.insert(name, one);
        }
    }

    /// The tokens, by the names of their services.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Grant>> {
        lock(&self.held).values().map(|held| Arc::clone(&held.grant)).collect()
    }
}
