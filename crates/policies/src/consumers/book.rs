//! The consumers of the configuration and their credentials. It never changes: a changed
//! configuration has another book.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use foldhash::fast::RandomState;
use portcullis_config::model::{self, CertificateName, Config, Name, PasswordHash};
use portcullis_wire::tls::ClientCertificate;
use thiserror::Error;

use super::index::{Kept, expires};
use super::key::Prefix;
use crate::identity::{Consumer, More};

/// The consumers of a configuration.
#[derive(Debug, Default)]
pub struct Book {
    pub(crate) names: HashMap<Name, Arc<Consumer>>,
    /// Who is looked up does not choose what is in it, so that a fast hash will do.
    pub(crate) keys: HashMap<Prefix, Kept, RandomState>,
    pub(crate) logins: HashMap<Name, (Arc<Consumer>, PasswordHash)>,
    pub(crate) certificates: Certificates,
}

/// What two consumers cannot both have.
#[derive(Debug, Clone, Error)]
#[error("{message}")]
pub struct BookFault {
    /// Where it stands, as keys from the top.
    pub path: Vec<String>,
    message: String,
}

/// Consumers by what their certificates are known by.
#[derive(Debug, Default)]
pub(crate) struct Certificates {
    fingerprints: HashMap<Name, Arc<Consumer>>,
    subjects: HashMap<Name, Arc<Consumer>>,
    uris: HashMap<Name, Arc<Consumer>>,
    dns: HashMap<Name, Arc<Consumer>>,
    emails: HashMap<Name, Arc<Consumer>>,
}

impl BookFault {
    /// What may help.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        let no_secret = self.path.last().is_some_and(|key| key == "keys");
        no_secret.then_some("`portcullis key secret` makes one")
    }
}

impl Book {
    /// The book of a configuration.
    ///
    /// # Errors
    /// Every credential that is there twice, and keys that cannot be looked up.
    pub fn new(config: &Config) -> Result<Book, Vec<BookFault>> {
        let mut book = Book::default();
        let mut faults = Vec::new();
        // In the order of their names, so that faults are always the same.
        let mut written: Vec<&Arc<model::Consumer>> = config.consumers.values().collect();
        written.sort_by(|one, other| one.name.cmp(&other.name));
        let has_secret = config.process.credentials.secret.is_some();
        for written in written {
            let consumer = Arc::new(consumer(written));
            let mut fault = |rest: &[&str], message: String| {
                let start = ["consumers", &written.name];
                let path = start.iter().chain(rest);
                faults.push(BookFault { path: path.map(|&key| key.to_owned()).collect(), message });
            };
            if !has_secret && !written.keys.is_empty() {
                fault(&["keys"], "keys cannot be looked up without `credentials.secret`".into());
            }
            for (at, key) in written.keys.iter().enumerate() {
                let prefix = Prefix::new(key.prefix);
                let kept = Kept {
                    prefix,
                    hash: key.hash,
                    owner: Arc::clone(&consumer),
                    expires: expires(key.expires),
                    used: AtomicU32::new(0),
                };
                if let Some(other) = book.keys.insert(prefix, kept) {
                    let other = &other.owner.name;
                    let message = format!("the key `pk_{prefix}` is the consumer `{other}`'s too");
                    fault(&["keys", &at.to_string(), "prefix"], message);
                }
            }
            if let Some(password) = &written.password {
                let login = (Arc::clone(&consumer), password.hash.clone());
                if let Some((other, _)) = book.logins.insert(password.username.clone(), login) {
                    let message = format!("the username is the consumer `{}`'s too", other.name);
                    fault(&["basic"], message);
                }
            }
            for (at, name) in written.certificates.iter().enumerate() {
                if let Err(other) = book.certificates.insert(name, &consumer) {
                    let message =
                        format!("this certificate is the consumer `{}`'s too", other.name);
                    fault(&["certificates", &at.to_string()], message);
                }
            }
            book.names.insert(written.name.clone(), consumer);
        }
        if faults.is_empty() { Ok(book) } else { Err(faults) }
    }
}

fn consumer(written: &model::Consumer) -> Consumer {
    let plain = written.id.is_none() && written.tags.is_empty() && written.metadata.is_empty();
    let more = || {
        Box::new(More {
            id: written.id.clone(),
            tags: Arc::clone(&written.tags),
            metadata: Arc::clone(&written.metadata),
        })
    };
    Consumer {
        name: (&*written.name).into(),
        groups: (!written.groups.is_empty()).then(|| Arc::clone(&written.groups)),
        plan: written.plan.clone(),
        more: (!plain).then(more),
    }
}

impl Certificates {
    /// Gives whoever has it already.
    fn insert(
        &mut self,
        name: &CertificateName,
        consumer: &Arc<Consumer>,
    ) -> Result<(), Arc<Consumer>> {
        let (map, name) = match name {
            CertificateName::Fingerprint(name) => (&mut self.fingerprints, name),
            CertificateName::Subject(name) => (&mut self.subjects, name),
            CertificateName::Uri(name) => (&mut self.uris, name),
            CertificateName::Dns(name) => (&mut self.dns, name),
            CertificateName::Email(name) => (&mut self.emails, name),
        };
        match map.entry(name.clone()) {
            Entry::Occupied(taken) => Err(Arc::clone(taken.get())),
            Entry::Vacant(free) => {
                free.insert(Arc::clone(consumer));
                Ok(())
            }
        }
    }

    /// Whose a certificate is: what says most counts. Names of two consumers are nobody's.
    pub(crate) fn find(&self, certificate: &ClientCertificate) -> Option<Arc<Consumer>> {
        let kinds = [
            (
                &self.fingerprints,
                certificate.fingerprint().filter(|_| !self.fingerprints.is_empty()),
            ),
            (&self.subjects, certificate.subject()),
        ];
        let whole = kinds.into_iter().find_map(|(map, name)| map.get(name?));
        if let Some(consumer) = whole {
            return Some(Arc::clone(consumer));
        }
        let lists = [
            (&self.uris, certificate.uris()),
            (&self.dns, certificate.dns()),
            (&self.emails, certificate.emails()),
        ];
        for (map, names) in lists {
            let mut found =
                names.into_iter().flat_map(|names| names.split(", ")).filter_map(|n| map.get(n));
            let Some(first) = found.next() else { continue };
            return found.all(|other| Arc::ptr_eq(first, other)).then(|| Arc::clone(first));
        }
        None
    }
}
