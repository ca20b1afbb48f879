//! What has been counted, outside any configuration: by scope, kind and name of a policy, for as
//! long as a configuration that is in use has such a policy.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

use portcullis_config::model::{self, Layered, Name, Period, Policies, Policy, Rule, Sharing};
use portcullis_core::metrics::PolicyMetrics;

use crate::access::RunningRule;
use crate::auth::{Around, Authentication, Logins};
use crate::browser::{RunningCors, RunningCsrf, RunningSecurityHeaders};
use crate::clock::nanos;
use crate::consumers::Identities;
use crate::ext_authz::ExtAuthz;
use crate::grants::Grants;
use crate::issuers::Issuers;
use crate::key::KeyHasher;
use crate::policy::Running;
use crate::seats::Waiting;
use crate::shared::{Shared, Stores};
use crate::store::QuotaStore;
use crate::table::Table;

/// Where a policy is written, and so whose requests it counts together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// At the top: all requests.
    Global,
    /// On the service of this name.
    Service(Name),
    /// On the route of this name.
    Route(Name),
    /// Of the group of this name.
    Group(Name),
    /// Of the plan of this name.
    Plan(Name),
    /// Of the consumer of this name.
    Consumer(Name),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::Global => f.write_str("global"),
            Scope::Service(name) => write!(f, "service/{name}"),
            Scope::Route(name) => write!(f, "route/{name}"),
            Scope::Group(name) => write!(f, "group/{name}"),
            Scope::Plan(name) => write!(f, "plan/{name}"),
            Scope::Consumer(name) => write!(f, "consumer/{name}"),
        }
    }
}

/// What names a policy across changes of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId {
    /// Where it is written.
    pub scope: Scope,
    /// Its kind, as configured.
    pub kind: &'static str,
    /// Its name.
    pub name: Name,
}

impl PolicyId {
    pub(crate) fn of(scope: &Scope, policy: &Policy) -> PolicyId {
        let (kind, name) = (policy.kind(), Arc::clone(policy.name()));
        PolicyId { scope: scope.clone(), kind, name }
    }

    /// The one policy of its kind that a scope may have.
    pub(crate) fn only(scope: &Scope, kind: &'static str) -> PolicyId {
        PolicyId { scope: scope.clone(), kind, name: kind.into() }
    }
}

impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.scope, self.kind, self.name)
    }
}

/// How states are to be read. Counts go over to a changed policy only if it stays the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A token in so many nanoseconds.
    Bucket(u64),
    /// Windows of so many nanoseconds.
    Window(u64),
    Period(Period),
    Seats,
}

impl Layout {
    /// What a state means when it is counted in another way from `now` on; none if it cannot be
    /// said.
    fn carry(self, state: u128, to: Layout, now: u64) -> Option<u128> {
        match (self, to) {
            // Places that are taken are given back where they were taken: they do not go over.
            (Layout::Seats, _) => None,
            // What was taken stays as many tokens, however long they need to come back now.
            (Layout::Bucket(old), Layout::Bucket(new)) => {
                let debt = state.saturating_sub(now.into());
                let debt = debt * u128::from(new) / u128::from(old.max(1));
                Some(u128::from(now) + debt).filter(|&state| u64::try_from(state).is_ok())
            }
            _ => (self == to).then_some(state),
        }
    }
}

/// What a policy has counted.
#[derive(Debug)]
pub struct Counted {
    /// What it is named.
    pub id: PolicyId,
    /// Its states by key.
    pub table: Table,
    /// What became of requests; goes on when the table is made anew.
    pub metrics: Arc<PolicyMetrics>,
    /// Requests that wait for it.
    pub(crate) waiting: Waiting,
    pub(crate) layout: Layout,
    keys: usize,
}

/// A policy's counter in a store: how it is read, for how many keys, and itself.
type InStore = (Layout, usize, Weak<Shared>);

/// What became of the requests that a policy judged which counts nothing else.
#[derive(Debug)]
pub struct Judged {
    /// What it is named.
    pub id: PolicyId,
    /// What became of requests.
    pub metrics: PolicyMetrics,
}

/// The policies of a scope as they run, by the step of a request that asks them.
#[derive(Debug, Default)]
pub struct RunningPolicies {
    /// Who may read replies from pages of other origins.
    pub cors: Layered<RunningCors>,
    /// Whose requests are taken for the user's own.
    pub csrf: Layered<RunningCsrf>,
    /// What browsers are told that pages may do.
    pub security_headers: Layered<RunningSecurityHeaders>,
    /// What a request must show so that the gateway knows who calls.
    pub authentication: Option<Authentication>,
    /// Who may do what.
    pub rules: Box<[RunningRule]>,
    /// What counts.
    pub limits: Box<[Arc<Running>]>,
}

impl RunningPolicies {
    /// Whether it says nothing that browsers would have to know.
    #[must_use]
    pub fn is_silent_to_browsers(&self) -> bool {
        matches!(
            self,
            RunningPolicies {
                cors: Layered::Unsaid,
                csrf: Layered::Unsaid,
                security_headers: Layered::Unsaid,
                ..
            }
        )
    }
}

/// All that is counted.
#[derive(Debug)]
pub struct Registry {
    workers: usize,
    hasher: KeyHasher,
    /// The newest last: until a configuration is in use, the one before may yet be what stays.
    counted: Mutex<HashMap<PolicyId, Vec<Weak<Counted>>>>,
    store: Mutex<Option<Arc<QuotaStore>>>,
    stores: Stores,
    issuers: Issuers,
    grants: Grants,
    logins: Arc<Logins>,
    shared: Mutex<HashMap<PolicyId, InStore>>,
    /// Who calls, as far as it outlives a configuration.
    identities: Identities,
    judged: Mutex<HashMap<PolicyId, Weak<Judged>>>,
    /// The newest last, as above.
    externals: Mutex<HashMap<PolicyId, Vec<Weak<ExtAuthz>>>>,
    /// Most scopes have no policies: these share one set.
    none: Arc<RunningPolicies>,
}

impl Registry {
    /// A registry of a gateway of so many workers.
    #[must_use]
    pub fn new(workers: usize) -> Registry {
        Registry {
            workers,
            hasher: KeyHasher::new(random_seed()),
            counted: Mutex::default(),
            store: Mutex::default(),
            stores: Stores::default(),
            issuers: Issuers::default(),
            grants: Grants::default(),
            logins: Arc::default(),
            shared: Mutex::default(),
            identities: Identities::default(),
            judged: Mutex::default(),
            externals: Mutex::default(),
            none: Arc::default(),
        }
    }

    /// Has quotas written down from now on. Those that exist already are not, so this comes first.
    pub fn keep_quotas(&self, store: Arc<QuotaStore>) {
        *lock(&self.store) = Some(store);
    }

    /// Where quotas are written down, if they are.
    #[must_use]
    pub fn store(&self) -> Option<Arc<QuotaStore>> {
        lock(&self.store).clone()
    }

    /// The stores that nodes share. Those that policies name must have been opened before these run.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// The issuers of tokens. Those that policies name must have been prepared before these run.
    #[must_use]
    pub fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Tokens that are shown to services.
    #[must_use]
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Logins of browsers and their sessions.
    #[must_use]
    pub fn logins(&self) -> &Arc<Logins> {
        &self.logins
    }

    /// Who calls, as far as it outlives a configuration.
    #[must_use]
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// The policies of a scope, ready to run, with what policies of the same scope and name have
    /// counted so far.
    #[must_use]
    pub fn run(&self, scope: &Scope, policies: &Policies) -> Arc<RunningPolicies> {
        if *policies == Policies::default() {
            return Arc::clone(&self.none);
        }
        let judged = |kind| self.judged(PolicyId::only(scope, kind));
        Arc::new(RunningPolicies {
            cors: policies.cors.map(|cors| RunningCors::new(cors, judged("cors"))),
            csrf: policies
                .csrf
                .map(|csrf| RunningCsrf { csrf: Arc::clone(csrf), judged: judged("csrf") }),
            security_headers: policies.security_headers.map(|headers| {
                RunningSecurityHeaders::new(headers, PolicyId::only(scope, "security_headers"))
            }),
            authentication: match &policies.authentication {
                Layered::On(written) => {
                    let around = Around {
                        issuers: &self.issuers,
                        stores: &self.stores,
                        logins: &self.logins,
                    };
                    Some(Authentication::new(written, &around))
                }
                Layered::Unsaid | Layered::Off => None,
            },
            rules: policies.rules.iter().map(|rule| self.rule(scope, rule)).collect(),
            limits: self.limits(scope, &policies.limits),
        })
    }

    fn rule(&self, scope: &Scope, rule: &Rule) -> RunningRule {
        let (kind, name) = (rule.kind(), Arc::clone(rule.name()));
        let judged = self.judged(PolicyId { scope: scope.clone(), kind, name });
        let external = match rule {
            Rule::ExtAuthz(written) => Some(self.external(&judged.id, written)),
            Rule::Access(_) | Rule::Cel(_) | Rule::Rego(_) => None,
        };
        RunningRule { rule: rule.clone(), judged, external }
    }

    /// Who is asked whether requests may pass: with what is remembered, if nothing has changed.
    fn external(&self, id: &PolicyId, written: &Arc<model::ExtAuthz>) -> Arc<ExtAuthz> {
        let mut externals = lock(&self.externals);
        let known = externals.entry(id.clone()).or_default();
        known.retain(|external| external.strong_count() > 0);
        let mut old = known.iter().rev().filter_map(Weak::upgrade);
        if let Some(same) = old.clone().find(|old| old.written == *written) {
            return same;
        }
        let counts = old.next().map(|old| Arc::clone(&old.counts)).unwrap_or_default();
        let fresh = Arc::new(ExtAuthz::new(id.clone(), written, counts, self.workers));
        known.push(Arc::downgrade(&fresh));
        fresh
    }

    /// Those that are asked whether requests may pass, in the order of their names.
    #[must_use]
    pub fn externals(&self) -> Vec<Arc<ExtAuthz>> {
        let mut externals = lock(&self.externals);
        externals.retain(|_, known| {
            known.retain(|external| external.strong_count() > 0);
            !known.is_empty()
        });
        let newest = |known: &Vec<Weak<ExtAuthz>>| known.iter().rev().find_map(Weak::upgrade);
        let mut all: Vec<Arc<ExtAuthz>> = externals.values().filter_map(newest).collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }

    /// What became of the requests that policies judged, in the order of their names.
    #[must_use]
    pub fn verdicts(&self) -> Vec<Arc<Judged>> {
        let mut judged = lock(&self.judged);
        judged.retain(|_, judged| judged.strong_count() > 0);
        let mut all: Vec<Arc<Judged>> = judged.values().filter_map(Weak::upgrade).collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }

    /// The counters of a policy: those that there are, or new ones.
    pub(crate) fn judged(&self, id: PolicyId) -> Arc<Judged> {
        let mut judged = lock(&self.judged);
        let known = judged.entry(id.clone()).or_default();
        if let Some(known) = known.upgrade() {
            return known;
        }
        let fresh = Arc::new(Judged { id, metrics: PolicyMetrics::new(self.workers) });
        *known = Arc::downgrade(&fresh);
        fresh
    }

    /// Those that count, ready to run.
    #[must_use]
    pub fn limits(&self, scope: &Scope, policies: &[Policy]) -> Box<[Arc<Running>]> {
        policies.iter().map(|policy| Arc::new(Running::new(self, scope, policy))).collect()
    }

    /// The counts of every policy in use, in the order of their names.
    #[must_use]
    pub fn counted(&self) -> Vec<Arc<Counted>> {
        let mut counted = lock(&self.counted);
        counted.retain(|_, counts| {
            counts.retain(|counts| counts.strong_count() > 0);
            !counts.is_empty()
        });
        let mut all: Vec<Arc<Counted>> = counted.values().filter_map(|c| newest(c)).collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }

    /// The counts of a policy: those that there are, where they can be read in the same way.
    pub(crate) fn counts(&self, id: PolicyId, layout: Layout, keys: usize) -> Arc<Counted> {
        let mut counted = lock(&self.counted);
        let known = counted.entry(id.clone()).or_default();
        known.retain(|counts| counts.strong_count() > 0);
        let old = newest(known);
        if let Some(same) = old.as_ref().filter(|old| old.layout == layout && old.keys == keys) {
            return Arc::clone(same);
        }
        let table = Table::new(keys);
        let now = nanos(Instant::now());
        for old in old.iter() {
            for (key, state) in old.table.iter() {
                if let Some(state) = old.layout.carry(state, layout, now) {
                    let _ = table.change(key, |_| 0, |_| (Some(state), ()));
                }
            }
        }
        let metrics = old
            .map_or_else(|| Arc::new(PolicyMetrics::new(self.workers)), |old| old.metrics.clone());
        let fresh =
            Arc::new(Counted { id, table, metrics, waiting: Waiting::default(), layout, keys });
        if let (Layout::Period(_), Some(store)) = (layout, self.store()) {
            store.begin(&fresh);
        }
        known.push(Arc::downgrade(&fresh));
        fresh
    }

    /// The counter of a policy in its store: the one that there is, where it counts in the same way.
    pub(crate) fn shared(
        &self,
        id: PolicyId,
        sharing: &Sharing,
        layout: Layout,
        keys: usize,
    ) -> Option<Arc<Shared>> {
        let store = self.stores.find(&sharing.store)?;
        let mut all = lock(&self.shared);
        all.retain(|_, (_, _, shared)| shared.strong_count() > 0);
        if let Some((old_layout, old_keys, old)) = all.get(&id)
            && (*old_layout, *old_keys) == (layout, keys)
            && let Some(same) = old
                .upgrade()
                .filter(|old| Arc::ptr_eq(old.store(), &store) && old.mode() == sharing.mode)
        {
            return Some(same);
        }
        let fresh = Arc::new(Shared::new(&store, sharing.mode, keys));
        all.insert(id, (layout, keys, Arc::downgrade(&fresh)));
        Some(fresh)
    }

    /// What hashes keys: quotas are found again after a restart.
    pub(crate) fn hasher(&self, layout: Layout) -> KeyHasher {
        match (layout, self.store()) {
            (Layout::Period(_), Some(store)) => KeyHasher::new(store.seed()),
            _ => self.hasher,
        }
    }
}

/// The newest counts that somebody still uses.
fn newest(counted: &[Weak<Counted>]) -> Option<Arc<Counted>> {
    counted.iter().rev().find_map(Weak::upgrade)
}

/// A secret of this process.
pub(crate) fn random_seed() -> (u64, u64) {
    (RandomState::new().hash_one(0u8), RandomState::new().hash_one(1u8))
}

/// Nothing that is kept behind these locks can be left half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
