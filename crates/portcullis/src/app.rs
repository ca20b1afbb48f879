//! Wiring, by hand and in order: configuration, workers, admin listener, signals, the end.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use portcullis_config::Loader;
use portcullis_control::admin::{self, Admin, Readiness};
use portcullis_proxy::{Compiler, Gateway};
use portcullis_telemetry::{ProcessFacts, Scrape};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

use crate::cli;
use crate::reload::{Outcome, State};
use crate::shutdown::{Asked, Signals};
use crate::watch::Watch;

/// Threads of the control side; its work is small or blocking.
const CONTROL_THREADS: usize = 2;
/// How long the access log may take to write its last lines.
const LOG_FINISH: Duration = Duration::from_secs(5);

/// A gateway that serves.
#[derive(Debug, Clone)]
pub(crate) struct App {
    state: Arc<Mutex<State>>,
    started: SystemTime,
    draining: Arc<AtomicBool>,
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
    ready: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    raise_file_limit();
    let runtime = control_runtime()?;
    let code = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let mut files = Watch::new();
        let Some((app, admin)) = App::start(loader, &mut files).await? else {
            return Ok(ExitCode::FAILURE);
        };
        let (stop_admin, admin_stopped) = watch::channel(false);
        if let Some(listener) = admin {
            tracing::info!(address = %listener.local_addr()?, "admin");
            tokio::spawn(admin::serve(listener, app.admin(), admin_stopped));
        }
        tracing::info!("ready");
        ready()?;
        app.follow(&mut signals, &mut files).await;
        app.stop(signals).await;
        drop(stop_admin);
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
    /// Loads the first configuration and starts the workers. `None` when the configuration cannot
    /// be used; what is wrong was printed.
    pub(crate) async fn start(
        mut loader: Loader,
        files: &mut Watch,
    ) -> anyhow::Result<Option<(App, Option<TcpListener>)>> {
        let begun = Instant::now();
        let loaded = match tokio::task::block_in_place(|| loader.load()) {
            Ok(loaded) => loaded,
            Err(report) => {
                eprint_report(&report);
                return Ok(None);
            }
        };
        // Before the others: a second gateway started by mistake ends here, and takes no client.
        let admin = bind_admin(loaded.config.process.admin).await?;
        let workers = worker_count(loaded.config.process.workers);
        let mut state = State {
            loader,
            compiler: Compiler::new(workers),
            gateway: Gateway::start(workers)?,
            log: None,
            outcome: Outcome::new(),
            watched: Vec::new(),
        };
        match state.adopt(loaded, begun).await {
            Ok(reloaded) if reloaded.warnings.is_empty() => {}
            Ok(reloaded) => eprint_report(&reloaded.warnings),
            Err(report) => {
                eprint_report(&report);
                return Ok(None);
            }
        }
        files.set(&state.watched);
        log_addresses(&state.gateway);
        let app = App {
            state: Arc::new(Mutex::new(state)),
            started: SystemTime::now(),
            draining: Arc::default(),
        };
        Ok(Some((app, admin)))
    }

    fn admin(&self) -> Admin {
        let (ready, metrics, reload) = (self.clone(), self.clone(), self.clone());
        Admin {
            ready: Arc::new(move || {
                if ready.draining.load(Relaxed) {
                    Readiness::NotReady("draining".to_owned())
                } else {
                    Readiness::Ready
                }
            }),
            metrics: Arc::new(move |out| metrics.scrape(out)),
            reload: Arc::new(move || {
                let app = reload.clone();
                Box::pin(async move { app.reload().await })
            }),
        }
    }

    /// Reads the configuration again. The summary, or all that is wrong.
    async fn reload(&self) -> Result<String, String> {
        if self.draining.load(Relaxed) {
            return Err("the gateway is draining\n".to_owned());
        }
        let mut state = self.state.lock().await;
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
                Ok(reloaded.summary())
            }
            Err(report) => {
                let text = report.render(false);
                tracing::error!(
                    "the configuration was refused; the one before still serves\n{text}"
                );
                Err(text)
            }
        }
    }

    /// Renders the metrics. While a reload holds the state, the scrape waits for it.
    fn scrape(&self, out: &mut String) {
        tokio::task::block_in_place(|| {
            let state = self.state.blocking_lock();
            let config = state.compiler.config();
            Scrape {
                workers: &state.gateway.metrics(),
                routes: state.compiler.routes().map(|(name, m)| (name, &**m)).collect(),
                tcp_routes: state.compiler.tcp_routes().map(|(name, m)| (name, &**m)).collect(),
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

    /// Reloads when asked or when a file changes, until told to stop.
    async fn follow(&self, signals: &mut Signals, files: &mut Watch) {
        loop {
            let asked = tokio::select! {
                asked = signals.next() => asked,
                () = files.changed() => Asked::Reload,
            };
            if asked == Asked::Stop {
                return;
            }
            // The outcome is in the log and in the metrics.
            let _ = self.reload().await;
            let state = self.state.lock().await;
            files.set(&state.watched);
            if let Some(log) = &state.log {
                log.sink.reopen();
            }
        }
    }

    /// Drains the workers; a second signal ends the wait.
    async fn stop(self, mut signals: Signals) {
        self.draining.store(true, Relaxed);
        // The state is not held while connections end: metrics are looked at just then.
        let drained = {
            let state = self.state.lock().await;
            let deadline = state.compiler.config().process.shutdown_deadline;
            tracing::info!(deadline_s = deadline.as_secs(), "draining");
            state.gateway.drain(deadline)
        };
        tokio::select! {
            () = drained => {}
            () = signals.stop_again() => tracing::warn!("ended by a second signal"),
        }
        let sink = self.state.lock().await.log.as_ref().map(|log| Arc::clone(&log.sink));
        if let Some(sink) = sink {
            let _ = tokio::task::spawn_blocking(move || sink.finish(LOG_FINISH)).await;
        }
        tracing::info!("stopped");
    }
}

async fn bind_admin(address: Option<SocketAddr>) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else {
        return Ok(None);
    };
    let bound = TcpListener::bind(address).await;
    bound.map(Some).with_context(|| format!("the admin listener cannot listen on {address}"))
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

fn eprint_report(report: &portcullis_config::Report) {
    use std::io::Write;
    let _ = io::stderr().write_all(report.render(cli::colour()).as_bytes());
}
