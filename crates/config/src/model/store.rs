//! Stores of counters that several nodes share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Address, Certificate, Name, TlsFile};

/// A store that speaks the protocol of Redis: Redis, Valkey and what is compatible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Its name.
    pub name: Name,
    /// Where it is.
    pub servers: Servers,
    /// Who the gateway is to the servers.
    pub login: Login,
    /// TLS towards the servers.
    pub tls: Option<StoreTls>,
    /// The number of the database; 0 with a cluster.
    pub database: u32,
    /// What every key begins with.
    pub prefix: Name,
    /// The longest that a request waits for the store; not zero.
    pub timeout: Duration,
    /// What becomes of a request that the store gives no answer for.
    pub on_failure: OnFailure,
}

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Servers {
    /// One server, or whatever stands at its address.
    Single(Address),
    /// Servers that Sentinels watch.
    Sentinel {
        /// The Sentinels; at least one.
        addresses: Vec<Address>,
        /// What they call the primary.
        primary: Name,
        /// Who the gateway is to the Sentinels.
        login: Login,
        /// TLS towards the Sentinels.
        tls: Option<StoreTls>,
    },
    /// Some nodes of a cluster, which know the others; at least one.
    Cluster(Vec<Address>),
}

/// User and password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The user; `None` is the default one.
    pub username: Option<Name>,
    /// Their password.
    pub password: Option<Secret>,
}

/// A text that is never shown, and overwritten when nobody has it any more.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes a text out of sight.
    #[must_use]
    pub fn new(text: &str) -> Secret {
        Secret(Arc::new(Zeroizing::new(text.to_owned())))
    }

    /// The text, for whoever it is meant for.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// TLS towards a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreTls {
    /// The authorities that are trusted; `None` is the system's.
    pub ca: Option<TlsFile>,
    /// The certificate to show.
    pub certificate: Option<Certificate>,
}

/// What becomes of a request that a store gives no answer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// It passes.
    Open,
    /// It is refused.
    Closed,
    /// The node counts for itself.
    Local,
}

impl OnFailure {
    /// Every one, by position.
    pub const ALL: [OnFailure; 3] = [OnFailure::Open, OnFailure::Closed, OnFailure::Local];

    /// Its name as configured.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            OnFailure::Open => "open",
            OnFailure::Closed => "closed",
            OnFailure::Local => "local",
        }
    }
}

/// Where and how a policy counts together with other nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// The store; it exists.
    pub store: Name,
    /// How.
    pub mode: SharingMode,
}

impl Sharing {
    /// The most that a request costs where shares are taken ahead: two of it fit into a share.
    pub const MOST_LEASED: u32 = 8_000_000;
}

/// How a policy counts together with other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharingMode {
    /// Every request asks the store.
    Exact,
    /// The node takes shares ahead, and requests take from these.
    Leased,
}

impl SharingMode {
    /// Its name as configured.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SharingMode::Exact => "exact",
            SharingMode::Leased => "leased",
        }
    }
}
