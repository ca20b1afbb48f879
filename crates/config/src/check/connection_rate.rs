//! How fast connections to a listener may come.

use super::Scope;
use super::policies::{bucket, stretch, within};
use crate::model::{ConnectionRate, Pace, RateLimit};
use crate::raw::{ConnectionRateSpec, PaceSpec, Spanned};

pub(super) fn connection_rate(spec: &ConnectionRateSpec, scope: &mut Scope<'_>) -> ConnectionRate {
    let mut pace = |written: &Option<Spanned<PaceSpec>>| {
        written.as_ref().map(|written| pace(&written.value, scope))
    };
    ConnectionRate { per_client: pace(&spec.per_client), total: pace(&spec.total) }
}

fn pace(spec: &PaceSpec, scope: &mut Scope<'_>) -> Pace {
    let limit = within(&spec.limit, RateLimit::MOST.into(), "lets nobody in", scope) as u32;
    let per = stretch(&spec.per, &spec.limit, limit, scope);
    Pace { limit, per, burst: bucket(spec.burst.as_ref(), limit, per, scope) }
}
