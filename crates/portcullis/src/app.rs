//! Wiring, by hand and in order: configuration, workers, admin listener, signals, the end.

use std::io;
use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Instant, SystemTime};

use anyhow::Context;
use portcullis_config::{Loader, Report};
use portcullis_control::admin::{self, Admin, Readiness};
use portcullis_policies::ext_authz::ExtAuthz;
use portcullis_policies::{Counted, Judged, Registry, Vault};
use portcullis_proxy::{Compiler, Gateway, Handed, Owner};
use portcullis_telemetry::{
    AuthzFact, Expires, JudgedFact, PolicyFact, PolicyFacts, ProcessFacts, Scrape,
};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

use crate::cli;
use crate::endpoints;
use crate::first_checks::FirstChecks;
use crate::life::{Life, UpgradeOrder};
use crate::manager::Manager;
use crate::pid_file::PidFile;
use crate::reload::{Outcome, State};
use crate::scrape;
use crate::shutdown::Signals;
use crate::upgrade::{Program, Takeover};
use crate::watch::Watch;
use crate::{issuers, stores};

/// Threads of the control side; its work is small or blocking.
const CONTROL_THREADS: usize = 2;
/// Orders to upgrade that may wait to be refused.
const UPGRADE_ORDERS: usize = 16;

/// How a process comes to be.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// How it was started, if it can be started again in the same way.
    pub(crate) program: Option<Program>,
    /// The process that it is to take over from.
    pub(crate) takeover: Option<Takeover>,
    /// Sockets from a service manager.
    pub(crate) passed: Vec<Handed>,
    /// The service manager.
    pub(crate) manager: Manager,
    /// Where secrets come from that the configuration refers to.
    pub(crate) vault: Option<Arc<Vault>>,
    /// Where to write which process this is.
    pub(crate) pid_file: Option<PathBuf>,
}

/// A gateway that serves.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) state: Arc<Mutex<State>>,
    pub(crate) manager: Manager,
    pub(crate) program: Option<Program>,
    pub(crate) admin: Option<Arc<AdminSocket>>,
    started: SystemTime,
    pub(crate) draining: Arc<AtomicBool>,
    first_checks: Arc<FirstChecks>,
    /// A new process is on its way, which reads the configuration itself.
    pub(crate) upgrading: Arc<AtomicBool>,
    upgrades: mpsc::Sender<UpgradeOrder>,
}

/// The admin listener's socket.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    /// As configured.
    pub(crate) address: String,
    pub(crate) socket: StdTcpListener,
    /// The socket is from the process before, or from a service manager.
    inherited: bool,
}

/// Sends the process's own messages to standard error.
pub(crate) fn init_logging() {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(cli::colour())
        .with_target(false)
        .init();
}

/// Serves what `loader` loads until told to stop; calls `ready` once it serves.
///
/// # Errors
/// The system does not give what is needed, or `ready` fails.
pub(crate) fn run(
    loader: Loader,
    mut origin: Origin,
    ready: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    raise_file_limit();
    let runtime = control_runtime()?;
    let code = runtime.block_on(async {
        let signals = Signals::new()?;
        let (upgrades, orders) = mpsc::channel(UPGRADE_ORDERS);
        let mut takeover = origin.takeover.take();
        let (pid_file, passed) = (origin.pid_file.take(), std::mem::take(&mut origin.passed));
        let started = App::start(loader, &origin, takeover.as_mut(), passed, upgrades).await;
        let (app, files) = match started {
            Ok(Ok(started)) => started,
            Ok(Err(report)) => {
                eprint_report(&report);
                if let Some(takeover) = takeover {
                    takeover.failed(report.render(false));
                }
                return Ok(ExitCode::FAILURE);
            }
            Err(error) => {
                if let Some(takeover) = takeover {
                    takeover.failed(format!("{error:#}"));
                }
                return Err(error);
            }
        };
        if takeover.is_some() {
            // The old process serves meanwhile, and knows who is well.
            app.first_checks.over().await;
            app.first_checks.first_tokens().await;
        }
        let (stop_admin, admin_stopped) = watch::channel(false);
        let admin = app.begin(admin_stopped).await?;
        // The old process, if there is one, finds ours there and leaves it.
        let pid_file = match (pid_file.map(PidFile::write).transpose(), takeover) {
            (Ok(pid_file), None) => pid_file,
            (Err(error), None) => return Err(error),
            (pid_file, Some(takeover)) => {
                takeover.serving().await;
                // Too late to give up: the old process has.
                pid_file.inspect_err(|error| tracing::error!("{error:#}")).ok().flatten()
            }
        };
        tracing::info!("ready");
        app.manager.ready("serving");
        ready()?;
        Life { app, signals, files, orders, stop_admin, admin }.live().await;
        drop(pid_file);
        anyhow::Ok(ExitCode::SUCCESS)
    })?;
    runtime.shutdown_background();
    Ok(code)
}

/// The runtime of all that is not the request path.
pub(crate) fn control_runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("control")
        .enable_all()
        .build()
}

/// A gateway needs two descriptors a request; the usual soft limit is for programs that do not.
fn raise_file_limit() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files stays as it is"),
    }
}

impl App {
    /// Loads the first configuration and prepares everything that serves it; nothing is accepted
    /// yet. Inside, all that is wrong with the configuration.
    async fn start(
        mut loader: Loader,
        origin: &Origin,
        mut takeover: Option<&mut Takeover>,
        mut passed: Vec<Handed>,
        upgrades: mpsc::Sender<UpgradeOrder>,
    ) -> anyhow::Result<Result<(App, Watch), Report>> {
        let begun = Instant::now();
        let loaded = match tokio::task::block_in_place(|| loader.load()) {
            Ok(loaded) => loaded,
            Err(report) => return Ok(Err(report)),
        };
        // Before the others: a second gateway started by mistake ends here, and takes no client.
        let admin = match loaded.config.process.admin {
            Some(address) => {
                Some(AdminSocket::open(address, takeover.as_deref_mut(), &mut passed)?)
            }
            None => None,
        };
        let workers = worker_count(loaded.config.process.workers);
        let mut compiler = Compiler::new(workers);
        if let Some(takeover) = takeover.as_deref_mut() {
            passed = takeover.take_listeners();
            compiler.recall(takeover.take_health());
        }
        let mut state = State {
            loader,
            compiler,
            gateway: Gateway::start(workers, passed)?,
            log: None,
            outcome: Outcome::new(),
            watched: Vec::new(),
        };
        match state.adopt(loaded, begun).await {
            Ok(reloaded) if reloaded.warnings.is_empty() => {}
            Ok(reloaded) => eprint_report(&reloaded.warnings),
            Err(report) => return Ok(Err(report)),
        }
        let first_checks = FirstChecks::new(state.gateway.current(), state.compiler.registry());
        let mut files = Watch::new();
        if let Some(vault) = &origin.vault {
            vault.on_change(files.teller());
        }
        files.set(&state.watched);
        log_addresses(&state.gateway);
        let settled = state.gateway.settle();
        match takeover {
            Some(takeover) => {
                let inherited = admin.as_ref().is_some_and(|admin| admin.inherited);
                takeover.offer(settled, inherited).await?;
            }
            None => {
                for name in settled.unclaimed {
                    tracing::warn!(name, "no listener uses this passed socket");
                }
            }
        }
        let app = App {
            state: Arc::new(Mutex::new(state)),
            manager: origin.manager.clone(),
            program: origin.program.clone(),
            admin: admin.map(Arc::new),
            started: SystemTime::now(),
            draining: Arc::default(),
            first_checks: Arc::new(first_checks),
            upgrading: Arc::default(),
            upgrades,
        };
        Ok(Ok((app, files)))
    }

    /// Begins to accept. What is returned serves the admin listener.
    async fn begin(
        &self,
        admin_stopped: watch::Receiver<bool>,
    ) -> anyhow::Result<Option<JoinHandle<()>>> {
        let mut state = self.state.lock().await;
        state.gateway.begin()?;
        // It ends with the workers.
        tokio::spawn(state.compiler.tend(state.gateway.current()));
        drop(state);
        if let Some(admin) = &self.admin {
            let listener = TcpListener::from_std(admin.socket.try_clone()?)?;
            tracing::info!(address = %listener.local_addr()?, "admin");
            let serving = admin::serve(listener, self.admin(), admin_stopped);
            return Ok(Some(tokio::spawn(serving)));
        }
        Ok(None)
    }

    fn admin(&self) -> Admin {
        let (ready, metrics, endpoints) = (self.clone(), self.clone(), self.clone());
        let (reload, upgrade) = (self.clone(), self.upgrades.clone());
        Admin {
            ready: Arc::new(move || {
                if ready.draining.load(Relaxed) {
                    Readiness::NotReady("draining".to_owned())
                } else {
                    ready.first_checks.not_ready().map_or(Readiness::Ready, Readiness::NotReady)
                }
            }),
            metrics: Arc::new(move |out| metrics.scrape(out)),
            endpoints: Arc::new(move || {
                tokio::task::block_in_place(|| {
                    endpoints::page(endpoints.state.blocking_lock().compiler.services())
                })
            }),
            reload: Arc::new(move || {
                let app = reload.clone();
                Box::pin(async move { app.reload().await })
            }),
            upgrade: Arc::new(move || {
                let upgrades = upgrade.clone();
                Box::pin(async move { UpgradeOrder::give(&upgrades).await })
            }),
        }
    }

    /// Reads the configuration again. The summary, or all that is wrong.
    pub(crate) async fn reload(&self) -> Result<String, String> {
        let mut state = self.state.lock().await;
        if self.draining.load(Relaxed) {
            return Err("the gateway is draining\n".to_owned());
        }
        if self.upgrading.load(Relaxed) {
            return Err("an upgrade is under way; it reads the configuration\n".to_owned());
        }
        self.manager.reloading();
        let refused_before = !state.outcome.last_succeeded;
        match state.reload().await {
            Ok(reloaded) => {
                if refused_before && reloaded.changes.is_empty() {
                    tracing::info!("the files hold the configuration in use again");
                }
                reloaded.log();
                if !reloaded.changes.listeners.is_empty() {
                    log_addresses(&state.gateway);
                }
                self.manager.ready("serving");
                Ok(reloaded.summary())
            }
            Err(report) => {
                let text = report.render(false);
                tracing::error!(
                    "the configuration was refused; the one before still serves\n{text}"
                );
                self.manager.ready("serving; the last reload was refused");
                Err(text)
            }
        }
    }

    /// Renders the metrics. While a reload holds the state, the scrape waits for it.
    fn scrape(&self, out: &mut String) {
        tokio::task::block_in_place(|| {
            let state = self.state.blocking_lock();
            let config = state.compiler.config();
            let counted = state.compiler.registry().counted();
            let judged = state.compiler.registry().verdicts();
            let externals = state.compiler.registry().externals();
            let stores = state.compiler.registry().stores().all();
            let issuers = state.compiler.registry().issuers().all();
            Scrape {
                workers: &state.gateway.metrics(),
                routes: state.compiler.routes().map(|(name, m)| (name, &**m)).collect(),
                tcp_routes: state.compiler.tcp_routes().map(|(name, m)| (name, &**m)).collect(),
                policies: policies(state.compiler.registry(), &counted, &judged, &externals),
                stores: stores::facts(&stores),
                issuers: issuers::facts(&issuers),
                expiries: expiries(&state.compiler),
                services: scrape::services(&state.compiler),
                process: ProcessFacts {
                    version: env!("CARGO_PKG_VERSION"),
                    started: self.started,
                    config_revision: state.outcome.revision,
                    last_reload_success: state.outcome.last_succeeded,
                    last_reload: state.outcome.last,
                    reloads_ok: state.outcome.succeeded,
                    reloads_failed: state.outcome.failed,
                    listeners: config.listeners.len(),
                    routes_configured: config.routes.len(),
                    tcp_routes_configured: config.tcp_routes.len(),
                    services_configured: config.services.len(),
                    log_lines_unwritten: state.log.as_ref().map_or(0, |log| log.sink.lost_lines()),
                },
            }
            .render(out);
        });
    }
}

/// What there is to tell about policies.
fn policies<'a>(
    registry: &'a Registry,
    counted: &'a [Arc<Counted>],
    judged: &'a [Arc<Judged>],
    externals: &'a [Arc<ExtAuthz>],
) -> PolicyFacts<'a> {
    let verdicts = |judged: &'a Arc<Judged>| JudgedFact {
        scope: judged.id.scope.to_string(),
        kind: judged.id.kind,
        name: &judged.id.name,
        metrics: &judged.metrics,
    };
    let asked = |external: &'a Arc<ExtAuthz>| AuthzFact {
        scope: external.id.scope.to_string(),
        name: &external.id.name,
        counts: &external.counts,
    };
    let fact = |counted: &'a Arc<Counted>| PolicyFact {
        scope: counted.id.scope.to_string(),
        kind: counted.id.kind,
        name: &counted.id.name,
        metrics: &counted.metrics,
        slots: counted.table.slots(),
        used: counted.table.used(),
        evicted: counted.table.evicted(),
        waiting: counted.waiting(),
    };
    PolicyFacts {
        policies: counted.iter().map(fact).collect(),
        judged: judged.iter().map(verdicts).collect(),
        externals: externals.iter().map(asked).collect(),
        store_errors: registry.store().map_or(0, |store| store.errors()),
        logins: Some(&registry.logins().counts),
    }
}

/// Until when files of TLS are good, in the same order each time.
fn expiries(compiler: &Compiler) -> Vec<Expires<'_>> {
    let told = compiler.expiries().map(|(owner, name, expiry)| Expires {
        owner: match owner {
            Owner::Listener => "listener",
            Owner::Service => "service",
        },
        name,
        kind: expiry.kind.code(),
        file: &expiry.label,
        at: expiry.at.as_secs(),
    });
    let mut told: Vec<Expires<'_>> = told.collect();
    told.sort_unstable();
    told
}

impl AdminSocket {
    /// The socket of the process before, one that was passed, or a new one.
    fn open(
        address: SocketAddr,
        takeover: Option<&mut Takeover>,
        passed: &mut Vec<Handed>,
    ) -> anyhow::Result<AdminSocket> {
        let configured = address.to_string();
        let handed = match takeover {
            Some(takeover) => takeover.take_admin(&configured),
            None => take_passed(address, passed),
        };
        let inherited = handed.is_some();
        let socket = match handed {
            Some(socket) => socket,
            None => StdTcpListener::bind(address)
                .with_context(|| format!("the admin listener cannot listen on {address}"))?,
        };
        socket.set_nonblocking(true)?;
        Ok(AdminSocket { address: configured, socket, inherited })
    }
}

/// The passed socket with this address.
fn take_passed(address: SocketAddr, passed: &mut Vec<Handed>) -> Option<StdTcpListener> {
    let index = passed.iter().position(|handed| handed.is_at(address))?;
    passed.remove(index).sockets.pop().map(StdTcpListener::from)
}

fn worker_count(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    }
}

fn log_addresses(gateway: &Gateway) {
    for (listener, address) in gateway.addresses() {
        tracing::info!(listener, address, "listening");
    }
}

fn eprint_report(report: &Report) {
    use std::io::Write;
    let _ = io::stderr().write_all(report.render(cli::colour()).as_bytes());
}
