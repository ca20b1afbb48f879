//! Renewals of tokens: one at a time for a session, however many requests find that it is due, on
//! whatever thread. A provider may give each refresh token but one use, and takes a second for theft
//! (RFC 9700, 4.14.2): so what came of one is remembered for a while, for requests that were on
//! their way with the old cookie.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use portcullis_core::LoginCounts;
use tokio::sync::watch;

use super::session::Session;
use crate::registry::lock;

/// What names the renewal of one refresh token.
pub(super) type Key = [u8; 32];
/// How long new tokens are remembered for requests with old ones, in seconds.
const REMEMBERED: u64 = 60;
/// How long a provider that does not answer is left alone, in seconds.
const PAUSE: u64 = 5;
/// Most renewals that are remembered.
const MOST: usize = 20_000;

/// What came of a renewal.
pub(super) type Renewed = Result<Arc<Session>, Lost>;

/// Why there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    /// It has ended, or is none.
    Gone(&'static str),
    /// Nobody can tell now.
    Unavailable(&'static str),
}

/// What outlives a configuration of logins and sessions.
#[derive(Debug, Default)]
pub struct Logins {
    flights: Mutex<Flights>,
    /// What became of logins and sessions.
    pub counts: LoginCounts,
}

#[derive(Debug, Default)]
struct Flights {
    all: HashMap<Key, Flight>,
    /// How many there may be before those are looked for that can go.
    sweep_at: usize,
}

#[derive(Debug)]
enum Flight {
    Running(watch::Receiver<Option<Renewed>>),
    Ended { renewed: Renewed, until: u64 },
}

/// What a request has to do about a renewal that is due.
#[derive(Debug)]
pub(super) enum Turn {
    /// Renew.
    Mine(Pilot),
    /// Another does.
    Running(watch::Receiver<Option<Renewed>>),
    /// Another has.
    Ended(Renewed),
}

/// Who renews. Dropped without an end, others may try.
#[derive(Debug)]
pub(super) struct Pilot {
    logins: Arc<Logins>,
    key: Key,
    told: watch::Sender<Option<Renewed>>,
}

impl Logins {
    /// Asks whose turn it is. `now` is in seconds since 1970.
    pub(super) fn turn(self: &Arc<Self>, key: Key, now: u64) -> Turn {
        let mut flights = lock(&self.flights);
        match flights.all.get(&key) {
            Some(Flight::Running(told)) => return Turn::Running(told.clone()),
            Some(Flight::Ended { renewed, until }) if *until > now => {
                return Turn::Ended(renewed.clone());
            }
            _ => {}
        }
        flights.sweep(now);
        let (told, tell) = watch::channel(None);
        flights.all.insert(key, Flight::Running(tell));
        Turn::Mine(Pilot { logins: Arc::clone(self), key, told })
    }
}

impl Flights {
    fn sweep(&mut self, now: u64) {
        if self.all.len() < self.sweep_at.max(64) {
            return;
        }
        self.all.retain(|_, flight| match flight {
            Flight::Running(_) => true,
            Flight::Ended { until, .. } => *until > now,
        });
        if self.all.len() >= MOST {
            // Better to forget what few will ask for than to grow without end.
            self.all.retain(|_, flight| matches!(flight, Flight::Running(_)));
        }
        self.sweep_at = (self.all.len() * 2).min(MOST);
    }
}

impl Pilot {
    /// What others are told as well.
    pub(super) fn listen(&self) -> watch::Receiver<Option<Renewed>> {
        self.told.subscribe()
    }

    /// Ends the renewal at a time in seconds since 1970.
    pub(super) fn end(self, renewed: Renewed, now: u64) {
        let stays = match &renewed {
            Ok(_) | Err(Lost::Gone(_)) => REMEMBERED,
            Err(Lost::Unavailable(_)) => PAUSE,
        };
        let ended = Flight::Ended { renewed: renewed.clone(), until: now + stays };
        lock(&self.logins.flights).all.insert(self.key, ended);
        self.told.send_replace(Some(renewed));
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        let mut flights = lock(&self.logins.flights);
        if matches!(flights.all.get(&self.key), Some(Flight::Running(_))) {
            flights.all.remove(&self.key);
        }
    }
}

/// Waits for what another finds out.
pub(super) async fn told(mut told: watch::Receiver<Option<Renewed>>) -> Renewed {
    match told.wait_for(Option::is_some).await {
        Ok(renewed) => renewed.clone().unwrap_or(Err(Lost::Unavailable("nobody renewed it"))),
        Err(_) => Err(Lost::Unavailable("whoever renewed it was stopped")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Arc<Session> {
        Arc::new(Session::default())
    }

    #[test]
    fn one_renews_and_all_have_what_comes_of_it() {
        let logins = Arc::new(Logins::default());
        let Turn::Mine(pilot) = logins.turn([1; 32], 100) else { panic!() };
        let Turn::Running(other) = logins.turn([1; 32], 100) else { panic!() };
        assert!(matches!(logins.turn([2; 32], 100), Turn::Mine(_)));
        pilot.end(Ok(session()), 100);
        assert_eq!(other.borrow().clone(), Some(Ok(session())));
        assert!(matches!(logins.turn([1; 32], 159), Turn::Ended(Ok(_))));
        assert!(matches!(logins.turn([1; 32], 160), Turn::Mine(_)));
    }

    #[test]
    fn who_stops_leaves_it_to_others_and_failures_are_not_repeated_at_once() {
        let logins = Arc::new(Logins::default());
        let Turn::Mine(pilot) = logins.turn([1; 32], 100) else { panic!() };
        drop(pilot);
        let Turn::Mine(pilot) = logins.turn([1; 32], 100) else { panic!() };
        pilot.end(Err(Lost::Unavailable("x")), 100);
        assert!(matches!(logins.turn([1; 32], 104), Turn::Ended(Err(_))));
        assert!(matches!(logins.turn([1; 32], 105), Turn::Mine(_)));
    }

    #[test]
    fn memory_is_bounded() {
        let logins = Arc::new(Logins::default());
        for number in 0..50_000u32 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_be_bytes());
            let Turn::Mine(pilot) = logins.turn(key, 100) else { panic!() };
            pilot.end(Ok(session()), 100);
        }
        assert!(lock(&logins.flights).all.len() <= MOST);
    }
}
