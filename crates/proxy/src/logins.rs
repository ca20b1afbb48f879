//! The paths that logins of browsers take on the hosts of their routes, whatever routes there are
//! for these paths; and the cookies that no service is to see.

use std::collections::HashSet;
use std::sync::Arc;

use portcullis_config::model::{Action, Config, HostPattern, Layered, Match, Name};
use portcullis_policies::{RelyingParty, RunningPolicies, hide_cookies};
use portcullis_wire::{Known, RequestHead};

use crate::pipeline::host_of;
use crate::snapshot::{CompiledRoute, CompiledService};

/// All logins of a configuration.
#[derive(Debug, Default)]
pub struct Logins {
    all: Vec<Hosted>,
}

/// A policy's logins, and where they are.
#[derive(Debug)]
struct Hosted {
    party: Arc<RelyingParty>,
    any_host: bool,
    exact: HashSet<Arc<str>>,
    suffixes: HashSet<Arc<str>>,
    any_listener: bool,
    listeners: HashSet<Name>,
}

/// What a path is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The provider sends browsers back to it.
    Callback,
    /// It ends sessions.
    Logout,
}

impl Purpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Purpose::Callback => "takes browsers back from their login",
            Purpose::Logout => "logs users out",
        }
    }
}

impl Logins {
    /// The logins that are written at the top, for services, and on these routes; nothing if there
    /// are none. Only where services have some does this look at all routes.
    pub(crate) fn of<'a>(
        config: &Config,
        global: &RunningPolicies,
        services: impl Iterator<Item = &'a Arc<CompiledService>>,
        routes: impl Iterator<Item = &'a Arc<CompiledRoute>>,
    ) -> Option<Arc<Logins>> {
        let mut logins = Logins::default();
        let everywhere = Match::default();
        for party in parties(global) {
            logins.add(party, &everywhere);
        }
        for service in services {
            let parties = parties(&service.policies);
            if parties.is_empty() {
                continue;
            }
            let name = &service.service.name;
            let routes = config.routes.values().filter(|route| {
                matches!(route.policies.authentication, Layered::Unsaid)
                    && matches!(&route.action, Action::Forward { services, .. }
                        if services.iter().any(|share| share.service == *name))
            });
            for route in routes {
                parties.iter().for_each(|party| logins.add(party, &route.matches));
            }
        }
        for route in routes {
            for party in parties(&route.policies) {
                logins.add(party, &route.route.matches);
            }
        }
        (!logins.all.is_empty()).then(|| Arc::new(logins))
    }

    fn add(&mut self, party: &Arc<RelyingParty>, matches: &Match) {
        let at = self.all.iter().position(|hosted| Arc::ptr_eq(&hosted.party, party));
        let at = at.unwrap_or_else(|| {
            self.all.push(Hosted::new(party));
            self.all.len() - 1
        });
        let hosted = &mut self.all[at];
        hosted.any_host |= matches.hosts.is_empty();
        for host in &matches.hosts {
            match host {
                HostPattern::Exact(host) => hosted.exact.insert(Arc::clone(host)),
                HostPattern::Suffix(suffix) => hosted.suffixes.insert(Arc::clone(suffix)),
            };
        }
        hosted.any_listener |= matches.listeners.is_empty();
        hosted.listeners.extend(matches.listeners.iter().cloned());
    }

    /// What a path is for, and for whom. `path` is the normalised one.
    pub(crate) fn find(
        &self,
        listener: &str,
        request: &RequestHead,
        path: &[u8],
    ) -> Option<(Purpose, Vec<&Arc<RelyingParty>>)> {
        let purpose = |party: &RelyingParty| {
            let written = party.written();
            match path {
                path if path == written.callback.as_bytes() => Some(Purpose::Callback),
                path if path == written.logout.path.as_bytes() => Some(Purpose::Logout),
                _ => None,
            }
        };
        let of_path = |hosted: &&Hosted| purpose(&hosted.party).is_some();
        self.all.iter().find(of_path)?;
        let host = host_of(request.authority()).to_ascii_lowercase();
        let host = std::str::from_utf8(&host).ok()?;
        let host = host.strip_suffix('.').unwrap_or(host);
        let found: Vec<&Hosted> =
            self.all.iter().filter(of_path).filter(|one| one.is_at(listener, host)).collect();
        let purpose = purpose(&found.first()?.party)?;
        Some((purpose, found.into_iter().map(|hosted| &hosted.party).collect()))
    }

    /// Takes all cookies of logins and sessions out of a request. `text` is working memory.
    pub(crate) fn hide(&self, request: &mut RequestHead, text: &mut Vec<u8>) {
        let has = |line: &[u8]| {
            let names = self.all.iter().map(|hosted| hosted.party.cookie_base().as_bytes());
            names.into_iter().any(|name| memchr::memmem::find(line, name).is_some())
        };
        if request.fields.all_known(Known::Cookie).any(has) {
            let own = |name: &[u8]| self.all.iter().any(|hosted| hosted.party.owns_cookie(name));
            hide_cookies(request, &own, text);
        }
    }
}

impl Hosted {
    fn new(party: &Arc<RelyingParty>) -> Hosted {
        Hosted {
            party: Arc::clone(party),
            any_host: false,
            exact: HashSet::new(),
            suffixes: HashSet::new(),
            any_listener: false,
            listeners: HashSet::new(),
        }
    }

    fn is_at(&self, listener: &str, host: &str) -> bool {
        let ends = |suffix: &Arc<str>| host.len() > suffix.len() && host.ends_with(&**suffix);
        (self.any_listener || self.listeners.contains(listener))
            && (self.any_host || self.exact.contains(host) || self.suffixes.iter().any(ends))
    }
}

fn parties(policies: &RunningPolicies) -> Vec<&Arc<RelyingParty>> {
    policies.authentication.as_ref().map(|one| one.parties()).unwrap_or_default()
}
