//! Logins of browsers among what a configuration becomes.

use std::sync::Arc;

use portcullis_config::model::{Config, Name};

use super::{Compiler, RouteChanges, State};
use crate::logins::Logins;
use crate::snapshot::CompiledRoute;

impl Compiler {
    /// The logins of browsers, as the routes will be.
    pub(super) fn logins(
        &self,
        state: &State,
        config: &Config,
        changes: &RouteChanges,
    ) -> Option<Arc<Logins>> {
        let stays = |(name, _): &(&Name, &Arc<CompiledRoute>)| !changes.gone.contains(name);
        let old = self.login_routes.iter().filter(stays).map(|(_, route)| route);
        let fresh = changes.fresh.iter().filter(|route| route.has_logins());
        let services = state.services.iter().flatten();
        Logins::of(config, &state.policies, services, old.chain(fresh))
    }
}
