//! Secrets that stand in Vault or OpenBao (the engine "KV, version 2", over its HTTP API) and are
//! named by the configuration. A thread of its own asks; whoever reads a configuration waits for it
//! once, and for what was read before not at all.
//!
//! The last good values stay in use while Vault cannot be reached. What has changed there is told,
//! so that the configuration is read again.

mod reference;
mod session;
mod settings;

use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc::{self as replies, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use crate::registry::lock;
use reference::Reference;
use session::{Fault, Fields, Session};
use settings::Settings;

/// The longest that a secret is waited for.
const LONGEST: Duration = Duration::from_secs(10);
/// For how long nobody waits again for a Vault that did not answer: a configuration may have many
/// references, and is read in bounded time all the same.
const DOWN_FOR: Duration = Duration::from_secs(2);

/// Told when a secret has changed.
type OnChange = Box<dyn Fn() + Send>;

/// How a variable of the environment is looked up.
type Variable = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The secrets of a Vault.
pub struct Vault {
    shared: Arc<Shared>,
    orders: Mutex<Option<mpsc::UnboundedSender<Order>>>,
    variable: Variable,
}

#[derive(Default)]
struct Shared {
    /// What was read, by path. Who holds the lock does nothing but look.
    secrets: Mutex<HashMap<Box<str>, Fields>>,
    changed: Mutex<Option<OnChange>>,
    /// When Vault did not answer, and why.
    down: Mutex<Option<(Instant, String)>>,
}

/// A secret to read, and who waits for it.
struct Order {
    secret: Box<str>,
    done: SyncSender<Result<(), String>>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

impl Vault {
    /// The Vault that variables of the environment name (`VAULT_ADDR` and so on). They are looked at
    /// when the first secret is asked for, and nothing connects before.
    pub fn new(variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Vault {
        Vault { shared: Arc::default(), orders: Mutex::default(), variable: Box::new(variable) }
    }

    /// Has `told` called from now on when a secret has changed that was read before. It must not
    /// wait.
    pub fn on_change(&self, told: impl Fn() + Send + 'static) {
        *lock(&self.shared.changed) = Some(Box::new(told));
    }

    /// The value that a reference (`MOUNT/data/PATH#FIELD`) stands for. Waits for at most about ten
    /// seconds, and not at all for what was read before.
    ///
    /// # Errors
    /// Why there is none; no secret is in it.
    pub fn read(&self, reference: &str) -> Result<String, String> {
        let reference = Reference::parse(reference)?;
        if let Some(found) = self.shared.find(&reference) {
            return found;
        }
        if let Some((_, why)) =
            lock(&self.shared.down).as_ref().filter(|(at, _)| at.elapsed() < DOWN_FOR)
        {
            return Err(why.clone());
        }
        let (done, waiting) = replies::sync_channel(1);
        let order = Order { secret: reference.secret.into(), done };
        let gone = || "the thread that asks Vault has ended".to_owned();
        self.orders()?.send(order).map_err(|_| gone())?;
        // The thread keeps to the time; this is only for when it is not there any more.
        match waiting.recv_timeout(2 * LONGEST) {
            Ok(read) => read?,
            Err(_) => return Err(gone()),
        }
        self.shared.find(&reference).unwrap_or_else(|| Err(gone()))
    }

    /// Where orders go to; starts the thread.
    fn orders(&self) -> Result<mpsc::UnboundedSender<Order>, String> {
        let mut orders = lock(&self.orders);
        if let Some(orders) = &*orders {
            return Ok(orders.clone());
        }
        let session = Session::new(Settings::new(&self.variable)?);
        let (sender, ordered) = mpsc::unbounded_channel();
        let shared = Arc::clone(&self.shared);
        let run = move || {
            let runtime = Builder::new_current_thread()
                .enable_io()
                .enable_time()
                .max_blocking_threads(2)
                .build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(tend(session, &shared, ordered)),
                Err(error) => tracing::error!("no thread can ask Vault: {error}"),
            }
        };
        let started = thread::Builder::new().name("vault".to_owned()).spawn(run);
        started.map_err(|error| format!("no thread can ask Vault: {error}"))?;
        *orders = Some(sender.clone());
        Ok(sender)
    }
}

impl Shared {
    /// The field of a secret that was read; `None` if it was not.
    fn find(&self, reference: &Reference<'_>) -> Option<Result<String, String>> {
        let secrets = lock(&self.secrets);
        let fields = secrets.get(reference.secret)?;
        let Reference { secret, field } = reference;
        let missing = || format!("{secret} has no `{field}` that is a text or a number");
        Some(fields.get(*field).map(|value| String::clone(value)).ok_or_else(missing))
    }

    /// Notes whether Vault answers; says so when that has changed.
    fn answers(&self, why: Option<&str>) {
        let mut down = lock(&self.down);
        match (&*down, why) {
            (None, Some(why)) => {
                tracing::warn!("Vault does not answer, the last values stay in use: {why}");
            }
            (Some(_), None) => tracing::info!("Vault answers again"),
            _ => {}
        }
        *down = why.map(|why| (Instant::now(), why.to_owned()));
    }
}

/// Reads what is asked for, looks again at what was read, and keeps the token alive.
async fn tend(mut session: Session, shared: &Shared, mut ordered: mpsc::UnboundedReceiver<Order>) {
    let interval = session.interval();
    let mut look = Instant::now() + interval;
    loop {
        let next = session.renew_at().map_or(look, |renew| renew.min(look));
        tokio::select! {
            order = ordered.recv() => {
                let Some(Order { secret, done }) = order else { return };
                let read = fetch(&mut session, shared, &secret).await;
                // Nobody may wait for it any more.
                let _ = done.send(read.map(|_| ()).map_err(|fault| fault.to_string()));
            }
            () = sleep_until(next.into()) => {
                let now = Instant::now();
                if session.renew_at().is_some_and(|renew| renew <= now)
                    && let Err(fault) = session.renew().await
                {
                    tracing::warn!("the token of Vault cannot be renewed: {fault}");
                }
                if look <= now {
                    look_again(&mut session, shared).await;
                    look = Instant::now() + interval;
                }
            }
        }
    }
}

/// Reads a secret. Whether it has changed.
async fn fetch(session: &mut Session, shared: &Shared, secret: &str) -> Result<bool, Fault> {
    let read = timeout(LONGEST, session.read(secret)).await;
    let read = read.unwrap_or_else(|_| Err(Fault::Down(format!("no answer within {LONGEST:?}"))));
    match &read {
        Err(Fault::Down(why)) => shared.answers(Some(why)),
        _ => shared.answers(None),
    }
    let fields = read?;
    let mut secrets = lock(&shared.secrets);
    let changed = secrets.get(secret).is_some_and(|known| *known != fields);
    secrets.insert(secret.into(), fields);
    Ok(changed)
}

async fn look_again(session: &mut Session, shared: &Shared) {
    let known: Vec<Box<str>> = lock(&shared.secrets).keys().cloned().collect();
    let mut changed = false;
    for secret in known {
        match fetch(session, shared, &secret).await {
            Ok(other) => changed |= other,
            // The others would not be told either; it was said already.
            Err(Fault::Down(_)) => break,
            Err(fault) => tracing::warn!("the last value of a secret stays in use: {fault}"),
        }
    }
    if changed && let Some(told) = &*lock(&shared.changed) {
        tracing::info!("a secret has changed in Vault");
        told();
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Down(why) => write!(f, "Vault does not answer: {why}"),
            Fault::Refused(why) => f.write_str(why),
            Fault::Token => f.write_str("Vault takes the token for none"),
        }
    }
}
