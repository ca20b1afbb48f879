//! All units by number and by name, and what holds between them: names that are there twice,
//! services and listeners that no route may miss, listeners on one address, routes that overlap. Everything is
//! kept up to date by what comes and goes, not computed anew.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::Touched;
use super::claims::Claims;
use super::named::Named;
use super::unit::{Collection, Unit, UnitId, Value};
use crate::inputs::{Input, Inputs};
use crate::model::{
    Action, Layered, Name, Policies, Policy, Process, Route, TcpRoute, WeightedService,
};
use crate::overlap::Overlap;

#[derive(Default)]
pub(crate) struct Entries {
    units: Vec<Option<Unit>>,
    free: Vec<UnitId>,
    names: HashMap<(Collection, Name), UnitId>,
    /// Units beyond the first of a name.
    doubles: BTreeMap<(Collection, Name), Vec<UnitId>>,
    /// Units with findings.
    faulty: BTreeSet<UnitId>,
    /// Units that read variables or files.
    reading: BTreeSet<UnitId>,
    /// The routes, TCP routes and services that name a service or a listener.
    callers: HashMap<(Collection, Name), HashSet<UnitId>>,
    /// Services and listeners that are named but nobody defines.
    missing: BTreeSet<(Collection, Name)>,
    pub(crate) overlap: Overlap,
    pub(crate) claims: Claims,
    pub(crate) named: Named,
}

impl Entries {
    pub(crate) fn insert(&mut self, unit: Unit) -> UnitId {
        match self.free.pop() {
            Some(id) => {
                self.units[id as usize] = Some(unit);
                id
            }
            None => {
                self.units.push(Some(unit));
                (self.units.len() - 1) as UnitId
            }
        }
    }

    /// Takes out a unit that was inserted but never came into use.
    pub(crate) fn forget(&mut self, id: UnitId) {
        if self.units[id as usize].take().is_some() {
            self.free.push(id);
        }
    }

    pub(crate) fn unit(&self, id: UnitId) -> Option<&Unit> {
        self.units.get(id as usize)?.as_ref()
    }

    pub(crate) fn find(&self, collection: Collection, name: &str) -> Option<UnitId> {
        self.names.get(&(collection, Name::from(name))).copied()
    }

    pub(crate) fn value(&self, collection: Collection, name: &Name) -> Option<&Value> {
        let id = self.names.get(&(collection, name.clone()))?;
        self.unit(*id)?.value.as_ref()
    }

    pub(crate) fn names(&self, collection: Collection) -> impl Iterator<Item = &str> {
        self.names.keys().filter(move |(of, _)| *of == collection).map(|(_, name)| &**name)
    }

    pub(crate) fn doubles(&self) -> impl Iterator<Item = (UnitId, &[UnitId])> {
        self.doubles.iter().filter_map(|(key, more)| Some((*self.names.get(key)?, more.as_slice())))
    }

    pub(crate) fn faulty(&self) -> impl Iterator<Item = (UnitId, &Unit)> {
        self.faulty.iter().filter_map(|id| Some((*id, self.unit(*id)?)))
    }

    /// Services and listeners that are named but not there, with the routes that name them.
    pub(crate) fn missing(&self) -> impl Iterator<Item = (Collection, &Name, &HashSet<UnitId>)> {
        self.missing.iter().filter_map(|key| Some((key.0, &key.1, self.callers.get(key)?)))
    }

    /// The routes of either kind that name a listener or service which is there.
    pub(crate) fn callers(&self, collection: Collection, name: &Name) -> Option<&HashSet<UnitId>> {
        self.callers.get(&(collection, name.clone()))
    }

    pub(crate) fn inputs(&self) -> impl Iterator<Item = &Input> {
        self.reading.iter().filter_map(|id| self.unit(*id)).flat_map(|unit| &unit.inputs)
    }

    /// The units that read something which is different now.
    pub(crate) fn stale(&self, inputs: &mut Inputs) -> HashSet<UnitId> {
        let mut stale = HashSet::new();
        for id in &self.reading {
            let Some(unit) = self.unit(*id) else { continue };
            if !unit.inputs.iter().all(|input| inputs.is_unchanged(input)) {
                stale.insert(*id);
            }
        }
        stale
    }

    /// Takes units out of use and others in. Where the content is what it was in the last good
    /// configuration, so is the value.
    pub(crate) fn replace(&mut self, removed: &[UnitId], added: &[UnitId], touched: &mut Touched) {
        for id in removed {
            self.take_out(*id);
            if let Some(unit) = self.units[*id as usize].take() {
                // The first removal since then has the good one's.
                touched
                    .entry((unit.collection, unit.name))
                    .or_insert_with(|| Some((unit.content, unit.value?)));
            }
        }
        for id in added {
            let Some(unit) = self.units[*id as usize].as_mut() else {
                continue;
            };
            match touched.entry((unit.collection, unit.name.clone())).or_insert(None) {
                Some((content, value)) if *content == unit.content && unit.value.is_some() => {
                    unit.value = Some(value.clone());
                }
                _ => {}
            }
            self.put_in(*id);
        }
        // Numbers are free for others only now: within this call they mean the old units.
        self.free.extend(removed);
        self.overlap.settle();
    }

    fn put_in(&mut self, id: UnitId) {
        let Some(unit) = self.units[id as usize].as_ref() else {
            return;
        };
        let key = (unit.collection, unit.name.clone());
        if !unit.findings.is_empty() {
            self.faulty.insert(id);
        }
        if !unit.inputs.is_empty() {
            self.reading.insert(id);
        }
        self.named.add(id, unit);
        self.missing.remove(&key);
        for called in called(unit) {
            if !self.names.contains_key(&called) {
                self.missing.insert(called.clone());
            }
            self.callers.entry(called).or_default().insert(id);
        }
        match unit.value.as_ref().filter(|_| !unit.has_error()) {
            Some(Value::Route(route)) => self.overlap.add(id, route.clone()),
            Some(Value::TcpRoute(route)) => self.claims.add(id, route),
            _ => {}
        }
        match self.names.entry(key) {
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(id);
            }
            std::collections::hash_map::Entry::Occupied(occupied) => {
                self.doubles.entry(occupied.key().clone()).or_default().push(id);
            }
        }
    }

    fn take_out(&mut self, id: UnitId) {
        let Some(unit) = self.units[id as usize].as_ref() else {
            return;
        };
        self.faulty.remove(&id);
        self.reading.remove(&id);
        self.named.remove(id, unit);
        for called in called(unit) {
            if let Some(callers) = self.callers.get_mut(&called) {
                callers.remove(&id);
                if callers.is_empty() {
                    self.callers.remove(&called);
                    self.missing.remove(&called);
                }
            }
        }
        match &unit.value {
            Some(Value::Route(_)) => self.overlap.remove(id),
            Some(Value::TcpRoute(route)) => self.claims.remove(id, route),
            _ => {}
        }
        let key = (unit.collection, unit.name.clone());
        let others = self.doubles.get_mut(&key);
        if self.names.get(&key) == Some(&id) {
            match others.and_then(Vec::pop) {
                Some(next) => {
                    self.names.insert(key.clone(), next);
                }
                None => {
                    self.names.remove(&key);
                    if self.callers.contains_key(&key) {
                        self.missing.insert(key.clone());
                    }
                }
            }
        } else if let Some(others) = others {
            others.retain(|other| *other != id);
        }
        if self.doubles.get(&key).is_some_and(Vec::is_empty) {
            self.doubles.remove(&key);
        }
    }

    /// The settings of the process: what is written over the defaults.
    pub(crate) fn process(&self) -> Process {
        let mut process = Process::default();
        for key in super::unit::SETTINGS {
            match self.value(Collection::Settings, &Name::from(*key)) {
                Some(Value::Policies(policies)) => process.policies = Arc::clone(policies),
                Some(Value::Credentials(credentials)) => {
                    process.credentials = Arc::clone(credentials);
                }
                Some(Value::State(state)) => process.state = state.clone(),
                Some(Value::Admin(address)) => process.admin = *address,
                Some(Value::AccessLog(to, claims)) => {
                    process.access_log = to.clone();
                    process.logged_claims = Arc::clone(claims);
                }
                Some(Value::Metrics(on)) => process.metrics = *on,
                Some(Value::Workers(count)) => process.workers = *count,
                Some(Value::Zone(zone)) => process.zone = Some(zone.clone()),
                Some(Value::Shutdown(shutdown)) => process.shutdown = *shutdown,
                Some(Value::Overload(lag)) => process.lag = *lag,
                Some(Value::Upgrade(upgrade)) => process.upgrade = *upgrade,
                _ => {}
            }
        }
        process
    }
}

/// The services, listeners and stores that an entry names.
fn called(unit: &Unit) -> Vec<(Collection, Name)> {
    let (services, other, listeners) = match &unit.value {
        Some(Value::Service(service)) => (&[][..], service.backup.as_ref(), &[][..]),
        Some(Value::Route(route)) => called_by_route(route),
        Some(Value::TcpRoute(route)) => called_by_tcp_route(route),
        _ => (&[][..], None, &[][..]),
    };
    let policies = unit.value.as_ref().and_then(Value::policies);
    let stores = policies.into_iter().flat_map(|policies| &policies.limits);
    let stores = stores.filter_map(Policy::sharing);
    let stores = stores.map(|sharing| (Collection::Stores, sharing.store.clone()));
    let stores = stores.chain(stores_of_sessions(policies));
    let services = services.iter().map(|part| &part.service).chain(other);
    let services = services.map(|name| (Collection::Services, name.clone()));
    let listeners = listeners.iter().map(|name| (Collection::Listeners, name.clone()));
    services.chain(listeners).chain(stores).chain(called_of_identity(unit)).collect()
}

/// The stores that sessions of logins are kept in.
fn stores_of_sessions(policies: Option<&Policies>) -> impl Iterator<Item = (Collection, Name)> {
    let stores = match policies.map(|policies| &policies.authentication) {
        Some(Layered::On(authentication)) => authentication.stores(),
        _ => Vec::new(),
    };
    stores.into_iter().map(|name| (Collection::Stores, name))
}

/// The consumers, groups, plans and issuers that an entry names.
fn called_of_identity(unit: &Unit) -> impl Iterator<Item = (Collection, Name)> {
    let policies = unit.value.as_ref().and_then(Value::policies);
    let anonymous = match policies.map(|policies| &policies.authentication) {
        Some(Layered::On(authentication)) => authentication.anonymous.as_ref(),
        _ => None,
    };
    let consumer = unit.value.as_ref().and_then(Value::consumer);
    let plan = consumer.and_then(|consumer| consumer.plan.as_ref());
    let groups = consumer.into_iter().flat_map(|consumer| consumer.groups.iter());
    let issuers = match policies.map(|policies| &policies.authentication) {
        Some(Layered::On(authentication)) => authentication.issuers(),
        _ => Vec::new(),
    };
    let service = unit.value.as_ref().and_then(Value::service);
    let granter = service.and_then(|service| service.upstream_token.as_ref()?.issuer().cloned());
    let issuers = issuers.into_iter().chain(granter);
    let issuers = issuers.map(|name| (Collection::Issuers, name));
    let consumers = anonymous.into_iter().map(|name| (Collection::Consumers, name.clone()));
    let plans = plan.into_iter().map(|name| (Collection::Plans, name.clone()));
    let groups = groups.map(|name| (Collection::Groups, name.clone()));
    consumers.chain(plans).chain(groups).chain(issuers)
}

type Called<'a> = (&'a [WeightedService], Option<&'a Name>, &'a [Name]);

fn called_by_route(route: &Route) -> Called<'_> {
    let (services, mirror) = match &route.action {
        Action::Forward { services, mirror, .. } => {
            (services.as_slice(), mirror.as_ref().map(|mirror| &mirror.service))
        }
        Action::Redirect { .. } | Action::Reply(_) => (&[] as &[_], None),
    };
    (services, mirror, &route.matches.listeners)
}

fn called_by_tcp_route(route: &TcpRoute) -> Called<'_> {
    (&route.services, None, std::slice::from_ref(&route.listener))
}
