//! What a gateway does from its first request to its last: it reloads, gives way to a new binary,
//! and drains.

use std::collections::HashSet;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use serde_json::json;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::app::App;
use crate::manager::Watchdog;
use crate::shutdown::{Asked, Signals};
use crate::upgrade::{Attempt, Outcome, Successor};
use crate::watch::Watch;

/// How long the access log may take to write its last lines.
const LOG_FINISH: Duration = Duration::from_secs(5);
/// How long answers of the admin listener may take that are under way at the end.
const ADMIN_FINISH: Duration = Duration::from_secs(1);

/// A gateway that serves, and all that it listens to.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) app: App,
    pub(crate) signals: Signals,
    pub(crate) files: Watch,
    pub(crate) orders: mpsc::Receiver<UpgradeOrder>,
    pub(crate) stop_admin: watch::Sender<bool>,
    /// Ends when the admin listener's connections have.
    pub(crate) admin: Option<JoinHandle<()>>,
}

/// Somebody asks for an upgrade and waits for its outcome: a summary, or why it failed.
#[derive(Debug)]
pub(crate) struct UpgradeOrder(oneshot::Sender<Result<String, String>>);

impl UpgradeOrder {
    /// Gives the order and waits.
    pub(crate) async fn give(to: &mpsc::Sender<UpgradeOrder>) -> Result<String, String> {
        let (order, outcome) = oneshot::channel();
        // Nobody takes orders any more once a drain has begun.
        let draining = || "the gateway is draining\n".to_owned();
        to.try_send(UpgradeOrder(order)).map_err(|_| draining())?;
        outcome.await.map_err(|_| draining())?
    }
}

/// How the time of serving ends.
#[derive(Debug)]
enum End {
    /// Told to.
    Asked,
    /// Another process serves. If `told`, both are to end.
    HandedOver { successor: Box<Successor>, told: bool },
}

/// An upgrade under way.
struct Upgrading {
    outcome: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    cancel: oneshot::Sender<()>,
    asked_by: Option<UpgradeOrder>,
    begun: Instant,
    /// A reload was asked for meanwhile.
    reload: bool,
}

impl Life {
    /// Lives it.
    pub(crate) async fn live(mut self) {
        let pulse = self.app.state.lock().await.gateway.pulse();
        let watchdog = self.app.manager.watch(pulse);
        let end = self.serve().await;
        self.app.draining.store(true, Relaxed);
        // Whoever still asks for an upgrade is told that it is too late.
        self.orders.close();
        while self.orders.try_recv().is_ok() {}
        match end {
            End::Asked => self.stop(watchdog).await,
            End::HandedOver { successor, told } => {
                self.app.manager.hand_over(successor.pid);
                drop(watchdog);
                self.give_way(*successor, told).await;
            }
        }
        self.finish_log().await;
        self.finish_quotas().await;
        // Among its answers may be that of the upgrade.
        self.stop_admin.send_replace(true);
        if let Some(admin) = self.admin {
            let _ = timeout(ADMIN_FINISH, admin).await;
        }
        tracing::info!(pid = std::process::id(), "stopped");
    }

    /// Ends because that was asked for.
    async fn stop(&mut self, watchdog: Option<Watchdog>) {
        self.app.manager.stopping();
        let shutdown = self.app.state.lock().await.compiler.config().process.shutdown;
        if self.delay(shutdown.delay).await {
            // The workers answer no more, and have a deadline instead.
            drop(watchdog);
            let _pinging = self.app.manager.watch_drain();
            let (_move, due) = watch::channel(Instant::now() + shutdown.deadline);
            self.drain(due, &HashSet::new(), |_| false).await;
        } else {
            tracing::warn!("ended by a second signal");
        }
    }

    /// Ends because another process serves.
    async fn give_way(&mut self, successor: Successor, told: bool) {
        let heirs = successor.listeners.clone();
        attend(successor);
        let (shutdown, upgrade) = {
            let state = self.app.state.lock().await;
            let process = &state.compiler.config().process;
            (process.shutdown, process.upgrade)
        };
        let deadline = upgrade.deadline.filter(|_| !told).unwrap_or(shutdown.deadline);
        let (move_deadline, due) = watch::channel(Instant::now() + deadline);
        // The first signal is the first that we hear: what holds for any end holds from then on.
        let mut told = told;
        let hear = |by| {
            let sooner = std::cmp::min(by, Instant::now() + shutdown.deadline);
            move_deadline.send_replace(sooner);
            !std::mem::replace(&mut told, true)
        };
        self.drain(due, &heirs, hear).await;
    }

    /// Reloads and upgrades when asked, until told to stop or until another process serves.
    async fn serve(&mut self) -> End {
        let mut upgrading: Option<Upgrading> = None;
        loop {
            let asked = tokio::select! {
                asked = self.signals.next() => asked,
                () = self.files.changed() => Asked::Reload,
                Some(order) = self.orders.recv() => {
                    self.begin_upgrade(&mut upgrading, Some(order));
                    continue;
                }
                outcome = finished(&mut upgrading) => {
                    let Some(ended) = upgrading.take() else { continue };
                    let reload = ended.reload;
                    if let Some(successor) = self.end_upgrade(ended, outcome) {
                        return End::HandedOver { successor, told: false };
                    }
                    if !reload {
                        continue;
                    }
                    Asked::Reload
                }
            };
            match asked {
                Asked::Stop => {
                    return match upgrading {
                        Some(upgrading) => self.stop_upgrade(upgrading).await,
                        None => End::Asked,
                    };
                }
                Asked::Reopen => self.reopen_log().await,
                Asked::Upgrade => self.begin_upgrade(&mut upgrading, None),
                Asked::Reload => match &mut upgrading {
                    Some(upgrading) => upgrading.reload = true,
                    None => self.reload().await,
                },
            }
        }
    }

    async fn reload(&mut self) {
        // The outcome is in the log and in the metrics.
        let _ = self.app.reload().await;
        if self.files.set(&self.app.state.lock().await.watched) {
            // Something may have changed there before anybody looked.
            let _ = self.app.reload().await;
            self.files.set(&self.app.state.lock().await.watched);
        }
        self.reopen_log().await;
    }

    async fn reopen_log(&self) {
        if let Some(log) = &self.app.state.lock().await.log {
            log.sink.reopen();
        }
    }

    fn begin_upgrade(&self, upgrading: &mut Option<Upgrading>, order: Option<UpgradeOrder>) {
        if upgrading.is_some() {
            tracing::warn!("an upgrade is under way already");
            if let Some(UpgradeOrder(outcome)) = order {
                let _ = outcome.send(Err("an upgrade is under way already\n".to_owned()));
            }
            return;
        }
        self.app.upgrading.store(true, Relaxed);
        self.app.manager.status("upgrading");
        let (cancel, cancelled) = oneshot::channel();
        *upgrading = Some(Upgrading {
            outcome: Box::pin(attempt(self.app.clone(), cancelled)),
            cancel,
            asked_by: order,
            begun: Instant::now(),
            reload: false,
        });
    }

    /// Tells who asked, and the log. The process that serves now, if the upgrade succeeded.
    fn end_upgrade(&self, ended: Upgrading, outcome: Outcome) -> Option<Box<Successor>> {
        let took_ms = u64::try_from(ended.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (answer, successor) = match outcome {
            Ok(successor) => {
                let Successor { pid, version, .. } = &*successor;
                tracing::info!(pid, version, took_ms, "another process serves from now on");
                if successor.admin {
                    // Whoever looks at us is to look at the new process, above all who asked.
                    self.stop_admin.send_replace(true);
                }
                let summary = json!({ "pid": pid, "version": version, "took_ms": took_ms });
                (Ok(format!("{summary}\n")), Some(successor))
            }
            Err(error) => {
                tracing::error!("the upgrade failed, and everything is as before: {error:#}");
                self.app.upgrading.store(false, Relaxed);
                self.app.manager.status("serving; the last upgrade failed");
                (Err(format!("{error:#}\n")), None)
            }
        };
        if let Some(UpgradeOrder(asked_by)) = ended.asked_by {
            let _ = asked_by.send(answer);
        }
        successor
    }

    /// Told to end while a new process starts: both end.
    async fn stop_upgrade(&self, mut upgrading: Upgrading) -> End {
        let (cancel, _) = oneshot::channel();
        let _ = std::mem::replace(&mut upgrading.cancel, cancel).send(());
        let outcome = upgrading.outcome.as_mut().await;
        match self.end_upgrade(upgrading, outcome) {
            Some(successor) => {
                successor.terminate();
                End::HandedOver { successor, told: true }
            }
            None => End::Asked,
        }
    }

    /// Goes on as before for so long, while the outside can see that this will end; `false` when a
    /// signal ends everything at once.
    async fn delay(&mut self, delay: Duration) -> bool {
        if delay.is_zero() {
            return true;
        }
        tracing::info!(delay_s = delay.as_secs_f64(), "not ready any more, and about to drain");
        let over = tokio::time::sleep(delay);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return true,
                asked = self.signals.next() => match asked {
                    Asked::Stop => return false,
                    Asked::Reopen | Asked::Reload => self.reopen_log().await,
                    Asked::Upgrade => tracing::warn!("the gateway is about to drain"),
                },
            }
        }
    }

    /// Drains the workers. A signal to stop ends the wait unless `hear`, which gets the deadline, says
    /// that it does not.
    async fn drain(
        &mut self,
        due: watch::Receiver<Instant>,
        heirs: &HashSet<String>,
        mut hear: impl FnMut(Instant) -> bool,
    ) {
        let left = due.borrow().saturating_duration_since(Instant::now());
        tracing::info!(deadline_s = left.as_secs_f64().round(), "draining");
        // The state is not held while connections end: metrics are looked at just then.
        let drained = self.app.state.lock().await.gateway.drain(&due, heirs);
        tokio::pin!(drained);
        loop {
            tokio::select! {
                () = &mut drained => return,
                asked = self.signals.next() => match asked {
                    Asked::Stop => {
                        let by = *due.borrow();
                        if !hear(by) {
                            tracing::warn!("ended by a second signal");
                            return;
                        }
                    }
                    Asked::Reopen | Asked::Reload => self.reopen_log().await,
                    Asked::Upgrade => tracing::warn!("the gateway is draining"),
                },
            }
        }
    }

    /// Has the last counts of quotas written down.
    async fn finish_quotas(&self) {
        if let Some(store) = self.app.state.lock().await.compiler.registry().store() {
            let _ = tokio::task::spawn_blocking(move || store.flush()).await;
        }
        let registry = Arc::clone(self.app.state.lock().await.compiler.registry());
        let _ = tokio::task::spawn_blocking(move || registry.identities().flush()).await;
    }

    async fn finish_log(&self) {
        let sink = self.app.state.lock().await.log.as_ref().map(|log| Arc::clone(&log.sink));
        if let Some(sink) = sink {
            let _ = tokio::task::spawn_blocking(move || sink.finish(LOG_FINISH)).await;
        }
    }
}

/// The outcome of an upgrade under way.
async fn finished(upgrading: &mut Option<Upgrading>) -> Outcome {
    match upgrading {
        Some(upgrading) => upgrading.outcome.as_mut().await,
        None => pending().await,
    }
}

async fn attempt(app: App, cancel: oneshot::Receiver<()>) -> Outcome {
    let program = app.program.clone().ok_or_else(|| anyhow!("only `run` can be upgraded"))?;
    let too_many = "the sockets cannot be copied";
    let (listeners, health, timeout) = {
        // A reload that began before ends first.
        let state = app.state.lock().await;
        let listeners = state.gateway.hand_out().context(too_many)?;
        let known = state.compiler.known();
        let owned = |(service, endpoint, known): (&str, &str, _)| {
            ((service.to_owned(), endpoint.to_owned()), known)
        };
        let health = known.map(owned).collect();
        (listeners, health, state.compiler.config().process.upgrade.timeout)
    };
    let admin = match &app.admin {
        Some(admin) => {
            let socket = admin.socket.try_clone().context(too_many)?;
            Some((admin.address.clone(), socket.into()))
        }
        None => None,
    };
    Attempt { program, admin, listeners, health, timeout }.run(cancel).await
}

/// Lets the new process take our place, and tells if it ends before we do. Otherwise nobody would:
/// it is our child. That it was told to end, or gave way to another, is no fault.
fn attend(successor: Successor) {
    let pid = successor.pid;
    let mut child = successor.let_go();
    tokio::spawn(async move {
        match child.wait().await {
            Ok(status) if status.success() => {
                tracing::info!(pid, "the process that took over has ended as it should");
            }
            Ok(status) => tracing::error!(pid, %status, "the process that took over has failed"),
            Err(error) => {
                tracing::warn!(pid, %error, "the process that took over is lost sight of")
            }
        }
    });
}
