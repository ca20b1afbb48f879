//! Verifies passwords in threads of their own, a bounded number at once and in line, and remembers
//! for a while which ones were good: a keyed hash of each, in a table of fixed size.

use std::pin::Pin;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};

use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash as Phc;
use aws_lc_rs::{constant_time, hmac};
use portcullis_config::model::{PasswordHash, Passwords};
use tokio::sync::oneshot;

use super::Answer;
use crate::registry::lock;
use crate::table::{Key, Table};

/// A password that nobody has, for usernames that nobody has: both take as long. It costs what is
/// recommended (OWASP: Argon2id, 19 MiB, two passes).
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$cG9ydGN1bGxpcy1ub2JvZHk$\
                      AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Bits of a remembered hash beside those of its key in the table.
const CHECK_BITS: u32 = 40;

/// What came of a password at once.
pub(crate) enum Verified {
    /// It is remembered as good.
    Good,
    /// It cannot be one.
    Bad,
    /// Too many wait already.
    Busy,
    /// It is being verified.
    Later(Pin<Box<dyn Future<Output = Answer>>>),
}

/// Verifies passwords.
#[derive(Debug)]
pub struct Verifier {
    written: Passwords,
    /// Remembers what was good.
    memory: Option<Memory>,
    /// Where passwords wait; made with its threads when there is a first one.
    line: OnceLock<Option<SyncSender<Job>>>,
}

/// Which passwords were good, for a while.
#[derive(Debug)]
struct Memory {
    table: Arc<Table>,
    secret: hmac::Key,
    /// In seconds.
    lasts: u64,
}

struct Job {
    password: Vec<u8>,
    hash: Arc<str>,
    bcrypt: bool,
    /// Nobody has this name.
    nobody: bool,
    /// Where to remember that it is good.
    remember: Option<(Arc<Table>, Key, u128)>,
    answer: oneshot::Sender<Answer>,
}

impl Verifier {
    /// A verifier that has no threads yet.
    #[must_use]
    pub fn new(written: &Passwords) -> Verifier {
        let mut secret = [0; 32];
        // Without random bytes nothing is remembered.
        let drawn = aws_lc_rs::rand::fill(&mut secret).is_ok();
        let memory = (drawn && written.cache > 0).then(|| Memory {
            table: Arc::new(Table::new(written.cache)),
            secret: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            lasts: written.cache_for.as_secs().max(1),
        });
        Verifier { written: *written, memory, line: OnceLock::new() }
    }

    /// Whether it does what is written here.
    #[must_use]
    pub fn is(&self, written: &Passwords) -> bool {
        self.written == *written
    }

    /// Looks whether a password is the one that `hash` was made of; without a hash it takes as long
    /// and is not. `now` is in seconds since 1970.
    pub(crate) fn verify(
        &self,
        username: &str,
        password: &[u8],
        hash: Option<&PasswordHash>,
        now: u64,
    ) -> Verified {
        let (text, bcrypt) = match hash {
            Some(PasswordHash::Argon2(secret)) => (secret.reveal(), false),
            Some(PasswordHash::Bcrypt(secret)) => (secret.reveal(), true),
            None => (NOBODY, false),
        };
        // bcrypt looks at no more than 72 bytes: what is longer would be good with any end.
        if bcrypt && password.len() > 72 {
            return Verified::Bad;
        }
        let mut remember = None;
        if let (Some(memory), Some(_)) = (&self.memory, hash) {
            let (key, check) = memory.of(username, password, text);
            if memory.knows(key, check, now) {
                return Verified::Good;
            }
            let until = u128::from(now + memory.lasts) << CHECK_BITS;
            remember = Some((Arc::clone(&memory.table), key, until | u128::from(check)));
        }
        let Some(line) = self.line.get_or_init(|| begin(&self.written)) else {
            return Verified::Busy;
        };
        let (answer, wait) = oneshot::channel();
        let (password, hash_text) = (password.to_vec(), Arc::from(text));
        let nobody = hash.is_none();
        let job = Job { password, hash: hash_text, bcrypt, nobody, remember, answer };
        match line.try_send(job) {
            Ok(()) => {
                Verified::Later(Box::pin(async { wait.await.unwrap_or(Answer::Unavailable) }))
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Verified::Busy,
        }
    }
}

impl Memory {
    /// What a password is remembered by. The hash it belongs to is part of it: with another password
    /// for the same name, the old one is forgotten.
    fn of(&self, username: &str, password: &[u8], hash: &str) -> (Key, u64) {
        let mut context = hmac::Context::with_key(&self.secret);
        for part in [username.as_bytes(), password, hash.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let tag = context.sign();
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&tag.as_ref()[at..at + 8]);
            u64::from_be_bytes(bytes)
        };
        (Key::new(number(0)), number(8) >> (u64::BITS - CHECK_BITS))
    }

    fn knows(&self, key: Key, check: u64, now: u64) -> bool {
        let state = self.table.state(key);
        let (until, known) = (state >> CHECK_BITS, state as u64 & ((1 << CHECK_BITS) - 1));
        let same =
            constant_time::verify_slices_are_equal(&known.to_be_bytes(), &check.to_be_bytes());
        until > u128::from(now) && same.is_ok()
    }
}

/// Begins the threads. None if the system gives none.
fn begin(written: &Passwords) -> Option<SyncSender<Job>> {
    // Those who are served need no place in the line.
    let (line, jobs) = sync_channel(written.queue + written.threads);
    let jobs = Arc::new(Mutex::new(jobs));
    let begun = (0..written.threads).filter(|_| {
        let jobs = Arc::clone(&jobs);
        let builder = std::thread::Builder::new().name("passwords".into());
        builder.spawn(move || work(&jobs)).is_ok()
    });
    (begun.count() > 0).then_some(line)
}

/// Verifies one after the other until nobody can bring another.
fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        let next = lock(jobs).recv();
        let Ok(job) = next else { return };
        // Whoever has gone away meanwhile costs nothing more.
        if job.answer.is_closed() {
            continue;
        }
        let good = is(&job) && !job.nobody;
        if let (true, Some((table, key, state))) = (good, &job.remember) {
            // What is remembered longest is worth most.
            let worth = |state: u128| u64::try_from(state >> CHECK_BITS).unwrap_or(u64::MAX);
            let _ = table.change(*key, worth, |_| (Some(*state), ()));
        }
        let _ = job.answer.send(if good { Answer::Good } else { Answer::Bad });
    }
}

fn is(job: &Job) -> bool {
    if job.bcrypt {
        return bcrypt::verify(&job.password, &job.hash).unwrap_or(false);
    }
    let Ok(hash) = Phc::new(&job.hash) else { return false };
    argon2::Argon2::default().verify_password(&job.password, &hash).is_ok()
}
