//! What of a request says which endpoint it goes to: a cookie of ours, or a hash.

use std::net::IpAddr;
use std::time::SystemTime;

use portcullis_config::model::Balance;
use portcullis_core::metrics::{StickyMetrics, StickyResult};

use super::{Exchange, Scratch, split};
use crate::path::Normal;
use crate::snapshot::CompiledService;
use crate::upstream::balance::{Asked, Choice, Http, key};
use crate::upstream::sticky::{StickyCookie, Told};
use crate::worker::Worker;

/// Where a request wants to go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steering {
    told: Told,
    key: Option<u64>,
}

/// What becomes of the client's cookie when an endpoint replies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cookie<'s> {
    sticky: &'s StickyCookie,
    metrics: &'s StickyMetrics,
    endpoint: usize,
    result: StickyResult,
    /// The client came over TLS.
    secure: bool,
}

impl Steering {
    /// Looks at a request that is on its way to a service.
    pub(crate) fn of(
        service: &CompiledService,
        scratch: &Scratch,
        normal: Normal,
        client: Option<IpAddr>,
    ) -> Steering {
        let Scratch { request, path, params, identity, .. } = scratch;
        let told = service
            .sticky
            .as_ref()
            .map_or(Told::Nothing, |s| s.read(&request.fields, SystemTime::now));
        let key = match &service.service.balance {
            Balance::Hash(hash) => {
                let path = match normal {
                    Normal::AsIs => request.path(),
                    Normal::Rewritten => path,
                };
                let (fields, query) = (&request.fields, request.query());
                let http = Some(Http { fields, query, path, params, identity });
                key(hash, &Asked { client, http })
            }
            Balance::RoundRobin | Balance::LeastRequests | Balance::PeakEwma { .. } => None,
        };
        Steering { told, key }
    }

    /// What choosing an endpoint goes by.
    pub(crate) fn choice<'a>(&self, tried: &'a [usize]) -> Choice<'a> {
        let stuck = match self.told {
            Told::Endpoint(endpoint) => Some(endpoint),
            Told::Nothing | Told::Nobody => None,
        };
        Choice { tried, stuck, key: self.key }
    }

    /// What becomes of the client's cookie when the endpoint that was chosen replies.
    pub(crate) fn cookie<'s>(
        &self,
        exchange: &Exchange<'_, '_>,
        service: &'s CompiledService,
        chosen: usize,
    ) -> Option<Cookie<'s>> {
        let sticky = service.sticky.as_ref()?;
        let result = match self.told {
            Told::Endpoint(endpoint) if endpoint == chosen => StickyResult::Kept,
            Told::Endpoint(_) => StickyResult::Lost,
            Told::Nobody => StickyResult::Unknown,
            Told::Nothing => StickyResult::New,
        };
        let secure = result != StickyResult::Kept && split::is_secure(exchange);
        Some(Cookie { sticky, metrics: &service.state.sticky, endpoint: chosen, result, secure })
    }
}

impl Cookie<'_> {
    /// Has the reply set the cookie of the endpoint, unless the client has that one.
    pub(crate) fn settle(&self, worker: &Worker, scratch: &mut Scratch) {
        self.metrics.shard(worker.id).0[self.result as usize].add(1);
        if self.result == StickyResult::Kept {
            return;
        }
        let Scratch { cookie, added, .. } = scratch;
        self.sticky.issue(self.endpoint, self.secure, SystemTime::now, cookie, added);
    }
}
