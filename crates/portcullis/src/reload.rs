//! From files to a configuration in use: load, compile, bind, swap; on any failure what serves
//! now goes on serving.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant, SystemTime};

use portcullis_config::model::{
    AccessLog, Listener, ListenerProtocol, Name, Policy, Process, State as KeptIn,
};
use portcullis_config::{Changes, Delta, Loaded, Loader, Place, Report};
use portcullis_policies::QuotaStore;
use portcullis_policies::consumers::ConsumerStore;
use portcullis_proxy::{ApplyError, CompileError, CompileWarning, Compiler, Gateway, Snapshot};
use portcullis_telemetry::AccessLogSink;
use serde_json::json;

/// How long a configuration waits for tokens of its services before it is in use.
const FIRST_TOKENS: Duration = Duration::from_secs(5);
/// How long an old access log may take to write what it still holds.
const LOG_FINISH: Duration = Duration::from_secs(2);

/// Everything that a configuration turns into.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) loader: Loader,
    pub(crate) compiler: Compiler,
    pub(crate) gateway: Gateway,
    pub(crate) log: Option<Log>,
    pub(crate) outcome: Outcome,
    /// The files that the configuration in use was read from.
    pub(crate) watched: Vec<PathBuf>,
}

/// The access log in use.
#[derive(Debug)]
pub(crate) struct Log {
    target: AccessLog,
    pub(crate) sink: Arc<AccessLogSink>,
    sender: SyncSender<Vec<u8>>,
}

/// How reloads have gone so far.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    pub(crate) revision: u64,
    pub(crate) last: SystemTime,
    pub(crate) last_succeeded: bool,
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
}

/// What a successful reload did.
#[derive(Debug)]
pub(crate) struct Reloaded {
    pub(crate) changes: Changes,
    pub(crate) warnings: Report,
    /// Settings that take effect only when the process starts again.
    pub(crate) restart: Vec<&'static str>,
    revision: u64,
    took: Duration,
}

impl State {
    /// Reads the configuration and puts it to use.
    ///
    /// # Errors
    /// All that is wrong with it; nothing has changed then.
    pub(crate) async fn reload(&mut self) -> Result<Reloaded, Report> {
        let begun = Instant::now();
        let result = match tokio::task::block_in_place(|| self.loader.load()) {
            Ok(loaded) => self.adopt(loaded, begun).await,
            Err(report) => Err(report),
        };
        self.outcome.last = SystemTime::now();
        self.outcome.last_succeeded = result.is_ok();
        match &result {
            Ok(_) => self.outcome.succeeded += 1,
            Err(_) => self.outcome.failed += 1,
        }
        result
    }

    /// Puts a configuration to use that was just loaded.
    ///
    /// # Errors
    /// What stands in the way; nothing has changed then.
    pub(crate) async fn adopt(
        &mut self,
        loaded: Loaded,
        begun: Instant,
    ) -> Result<Reloaded, Report> {
        let old = self.compiler.config().process.clone();
        self.watched.clone_from(&loaded.watch);
        let mut warnings = loaded.warnings.clone();
        if self.outcome.revision == 0 || !loaded.changes.is_empty() {
            match self.put_to_use(&loaded).await {
                Ok((revision, odd)) => {
                    self.outcome.revision = revision;
                    warnings = warnings.merge(odd);
                }
                Err(report) => {
                    self.loader.reject();
                    return Err(loaded.warnings.merge(report));
                }
            }
        }
        let speaks_http = |listener: &Arc<Listener>| listener.protocol == ListenerProtocol::Http;
        if loaded.config.routes.is_empty() && loaded.config.listeners.values().any(speaks_http) {
            tracing::warn!("there are no routes: every request is answered with 404");
        }
        Ok(Reloaded {
            restart: needs_restart(&old, &loaded.config.process),
            changes: loaded.changes,
            warnings,
            revision: self.outcome.revision,
            took: begun.elapsed(),
        })
    }

    /// The revision in use then, and what is odd about it.
    async fn put_to_use(&mut self, loaded: &Loaded) -> Result<(u64, Report), Report> {
        tokio::task::block_in_place(|| self.keep_quotas(loaded))?;
        // Held until the snapshot holds it.
        let _consumers = tokio::task::block_in_place(|| self.open_consumers(loaded))?;
        let compiled =
            tokio::task::block_in_place(|| self.compiler.compile(&loaded.config, &loaded.changes))
                .map_err(|errors| located(&self.loader, &errors))?;
        if self.outcome.revision > 0 {
            self.first_tokens(&compiled.snapshot).await;
        }
        let fresh = self.fresh_log(&loaded.config.process.access_log)?;
        let log = fresh.as_ref().unwrap_or(&self.log);
        let sender = log.as_ref().map(|log| log.sender.clone());
        self.gateway.apply(&compiled.snapshot, sender.as_ref()).await.map_err(|error| {
            let place = match &error {
                ApplyError::Bind { listener, .. } => {
                    self.loader.locate(&["listeners", listener, "address"])
                }
                ApplyError::Start(_) | ApplyError::WorkerGone => None,
            };
            Report::at(place, error.to_string())
        })?;
        if let Some(fresh) = fresh
            && let Some(old) = std::mem::replace(&mut self.log, fresh)
        {
            // Its last lines are on their way; nobody waits for them.
            tokio::task::spawn_blocking(move || old.sink.finish(LOG_FINISH));
        }
        let revision = compiled.snapshot.revision;
        let odd = odd(&self.loader, &compiled.warnings);
        self.compiler.registry().issuers().keep_in(self.state_folder(loaded));
        self.compiler.commit(compiled);
        Ok((revision, odd))
    }

    /// Gets the tokens that services are to be shown from now on, so that no request meets a service
    /// without. Who does not grant one in time holds nothing up but the requests to that service.
    async fn first_tokens(&self, snapshot: &Snapshot) {
        let registry = self.compiler.registry();
        let grants = snapshot.services.iter().flatten().filter_map(|one| one.token.as_ref());
        let fresh = registry.grants().begin(grants, registry.issuers());
        let all = async {
            for grant in fresh {
                grant.tried().await;
            }
        };
        let _ = tokio::time::timeout(FIRST_TOKENS, all).await;
    }

    /// The folder for what must outlive the process, if anything is to.
    fn state_folder(&self, loaded: &Loaded) -> Option<PathBuf> {
        match &loaded.config.process.state {
            KeptIn::Off => None,
            KeptIn::Folder(folder) => Some(folder.clone()),
            // Service managers may give several, with colons between them.
            KeptIn::Default => Some(match std::env::var("STATE_DIRECTORY") {
                Ok(given) => given.split(':').next().unwrap_or_default().into(),
                Err(_) => self.loader.folder().join("portcullis-state"),
            }),
        }
    }

    /// Opens the place where quotas are written down, if this is the first configuration that has any.
    fn keep_quotas(&self, loaded: &Loaded) -> Result<(), Report> {
        let registry = self.compiler.registry();
        if registry.store().is_some() || !has_quotas(loaded) {
            return Ok(());
        }
        let Some(folder) = self.state_folder(loaded) else { return Ok(()) };
        let store = QuotaStore::open(&folder).map_err(|error| {
            let place = self.loader.locate(&["state"]);
            let message = format!("quotas cannot be kept in `{}`: {error}", folder.display());
            Report::at(place, message)
        })?;
        registry.keep_quotas(Arc::new(store));
        Ok(())
    }

    /// Opens the store of consumers, if there is one.
    fn open_consumers(&self, loaded: &Loaded) -> Result<Option<Arc<ConsumerStore>>, Report> {
        let Some(path) = &loaded.config.process.credentials.store else { return Ok(None) };
        let opened = self.compiler.registry().identities().open(path);
        opened.map(Some).map_err(|error| {
            let place = self.loader.locate(&["credentials", "store"]);
            let message = format!("consumers cannot be read from `{}`: {error}", path.display());
            Report::at(place, message)
        })
    }

    /// The access log for a new target; `None` when the target is the same.
    fn fresh_log(&self, target: &AccessLog) -> Result<Option<Option<Log>>, Report> {
        let current = self.log.as_ref().map_or(&AccessLog::Off, |log| &log.target);
        if current == target {
            return Ok(None);
        }
        let started = AccessLogSink::start(target).map_err(|error| {
            let place = self.loader.locate(&["access_log"]);
            Report::at(place, format!("the access log cannot be opened: {error}"))
        })?;
        Ok(Some(started.map(|(sink, sender)| Log {
            target: target.clone(),
            sink: Arc::new(sink),
            sender,
        })))
    }
}

/// Whether a configuration has quotas, as far as it differs from the one before.
fn has_quotas(loaded: &Loaded) -> bool {
    let Loaded { config, changes, .. } = loaded;
    let quota = |policy: &Policy| matches!(policy, Policy::Quota(_));
    let fresh = |delta: &Delta| -> Vec<Name> { [&delta.added[..], &delta.changed].concat() };
    config.process.policies.limits.iter().any(quota)
        || fresh(&changes.services)
            .iter()
            .filter_map(|name| config.services.get(name))
            .any(|service| service.policies.limits.iter().any(quota))
        || fresh(&changes.routes)
            .iter()
            .filter_map(|name| config.routes.get(name))
            .any(|route| route.policies.limits.iter().any(quota))
        || config.plans.values().any(|plan| plan.policies.limits.iter().any(quota))
        || config.groups.values().any(|group| group.policies.limits.iter().any(quota))
        || fresh(&changes.consumers)
            .iter()
            .filter_map(|name| config.consumers.get(name))
            .any(|consumer| consumer.policies.limits.iter().any(quota))
}

/// Compile errors with their places in the files.
pub(crate) fn located(loader: &Loader, errors: &[CompileError]) -> Report {
    errors.iter().fold(Report::default(), |report, error| {
        let found = Report::at(place(loader, &error.path), error.to_string());
        report.merge(found.with_help(error.error.hint()))
    })
}

/// Compile warnings with their places in the files.
pub(crate) fn odd(loader: &Loader, warnings: &[CompileWarning]) -> Report {
    warnings.iter().fold(Report::default(), |report, odd| {
        report.merge(Report::warning_at(place(loader, &odd.path), odd.warning.to_string()))
    })
}

fn place(loader: &Loader, path: &[String]) -> Option<Place> {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    loader.locate(&path)
}

/// Settings that a running process cannot change.
fn needs_restart(old: &Process, new: &Process) -> Vec<&'static str> {
    let mut settings = Vec::new();
    if old.workers != new.workers {
        settings.push("workers");
    }
    if old.admin != new.admin {
        settings.push("admin");
    }
    if old.state != new.state {
        settings.push("state");
    }
    settings
}

impl Outcome {
    pub(crate) fn new() -> Outcome {
        Outcome {
            revision: 0,
            last: SystemTime::now(),
            last_succeeded: true,
            succeeded: 0,
            failed: 0,
        }
    }
}

impl Reloaded {
    /// What changed, for the admin API.
    pub(crate) fn summary(&self) -> String {
        let delta = |delta: &Delta| {
            json!({
                "added": delta.added.len(),
                "changed": delta.changed.len(),
                "removed": delta.removed.len(),
            })
        };
        let summary = json!({
            "revision": self.revision,
            "took_us": u64::try_from(self.took.as_micros()).unwrap_or(u64::MAX),
            "listeners": delta(&self.changes.listeners),
            "services": delta(&self.changes.services),
            "routes": delta(&self.changes.routes),
            "tcp_routes": delta(&self.changes.tcp_routes),
            "consumers": delta(&self.changes.consumers),
            "groups": delta(&self.changes.groups),
            "plans": delta(&self.changes.plans),
            "process": self.changes.process,
            "warnings": self.warnings.warnings(),
            "needs_restart": self.restart,
        });
        format!("{summary}\n")
    }

    /// Says in the log what happened.
    pub(crate) fn log(&self) {
        for setting in &self.restart {
            tracing::warn!(setting, "takes effect only when the gateway starts again");
        }
        if !self.warnings.is_empty() {
            tracing::warn!("the configuration has warnings\n{}", self.warnings.render(false));
        }
        if self.changes.is_empty() {
            tracing::debug!(revision = self.revision, "nothing to reload");
            return;
        }
        let Changes { routes, tcp_routes, .. } = &self.changes;
        tracing::info!(
            revision = self.revision,
            took_ms = self.took.as_millis(),
            routes_added = routes.added.len(),
            routes_changed = routes.changed.len(),
            routes_removed = routes.removed.len(),
            tcp_routes_added = tcp_routes.added.len(),
            tcp_routes_changed = tcp_routes.changed.len(),
            tcp_routes_removed = tcp_routes.removed.len(),
            "configuration in use"
        );
    }
}
