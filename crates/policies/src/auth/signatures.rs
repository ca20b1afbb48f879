//! Verifies signatures of tokens beside the workers. With a public key that takes 40 us and more, and
//! all that a worker has to do would wait for it. The threads that do it instead have the lowest
//! priority that there is (SCHED_IDLE): on a core that they share with a worker they give way to it at
//! once. Where that means that they do not get to it in time, or too many tokens are in line, the worker
//! does it itself, so that nobody waits for long and nothing is ever refused for want of threads; and for
//! a while it does not ask them again, for the machine has no time to spare.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use portcullis_jose::{Algorithms, KeySet, Token, TokenError, Verified};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{Answer, Answers, Attempt, Waiting};
use crate::issuers::View;
use crate::registry::lock;

/// The longest that a token waits to be verified before its worker does it: some fifty times as long
/// as it takes.
const LONGEST: Duration = Duration::from_millis(2);
/// How long workers do it themselves after one that waited so long.
const PAUSE: Duration = Duration::from_millis(100);
/// Most tokens in line, for the whole process.
const LINE: usize = 256;
/// Most threads; there is one for every four cores.
const MOST_THREADS: usize = 4;
/// Bits of the number of a method; those above it are the generation of the keys.
const NUMBER_BITS: u32 = 16;

/// Whose signature is verified, and for whom.
pub(super) struct Signatures<'a> {
    /// The number of the method that asks.
    pub(super) number: usize,
    pub(super) view: &'a View,
    pub(super) set: &'a Arc<KeySet>,
    pub(super) answers: &'a Answers,
    /// Whether others can verify it while the request waits.
    pub(super) beside: bool,
}

/// A token whose signature is to be verified.
struct Job {
    token: Vec<u8>,
    set: Arc<KeySet>,
    allowed: Algorithms,
    answer: oneshot::Sender<Answer>,
}

impl Signatures<'_> {
    /// Verifies a token, whose text is `text`.
    ///
    /// # Errors
    /// What the request has to wait for.
    pub(super) fn verify(
        &self,
        token: &Token<'_>,
        text: &[u8],
    ) -> Result<Result<Verified, TokenError>, Attempt> {
        let allowed = self.view.spec.algorithms;
        let here = || Ok(token.verify(self.set, allowed));
        if !self.beside || !token.takes_long(self.set, allowed) {
            return here();
        }
        // An answer holds for the keys that it was given for: others may be in use meanwhile.
        let method = self.number | (self.view.generation as usize) << NUMBER_BITS;
        match self.answers.of(method) {
            Some(Answer::Good) => Ok(token.trusted()),
            Some(Answer::Bad) => Ok(Err(token.forged(self.set))),
            Some(_) => here(),
            None if PAUSED.holds() => here(),
            None => match hand_over(text, self.set, allowed) {
                Some(answer) => {
                    let answer = async {
                        let answer = timeout(LONGEST, answer).await;
                        if answer.is_err() {
                            PAUSED.begin();
                        }
                        answer.ok().and_then(Result::ok).unwrap_or(Answer::Unavailable)
                    };
                    Err(Attempt::Wait(Waiting { method, answer: Box::pin(answer) }))
                }
                None => here(),
            },
        }
    }
}

static PAUSED: Pause = Pause::new();

/// Until when nothing is put in line, in milliseconds since this was asked first. All workers share it.
struct Pause(AtomicU64);

impl Pause {
    const fn new() -> Pause {
        Pause(AtomicU64::new(0))
    }

    fn now() -> u64 {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        let began = BEGAN.get_or_init(Instant::now);
        u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn begin(&self) {
        self.0.store(Pause::now() + PAUSE.as_millis() as u64, Relaxed);
    }

    fn holds(&self) -> bool {
        Pause::now() < self.0.load(Relaxed)
    }
}

/// Puts a token in line. None if it is full, or if the system gives no threads.
fn hand_over(
    text: &[u8],
    set: &Arc<KeySet>,
    allowed: Algorithms,
) -> Option<oneshot::Receiver<Answer>> {
    static JOBS: OnceLock<Option<SyncSender<Job>>> = OnceLock::new();
    let jobs = JOBS.get_or_init(begin).as_ref()?;
    let (answer, wait) = oneshot::channel();
    let job = Job { token: text.to_vec(), set: Arc::clone(set), allowed, answer };
    jobs.try_send(job).ok().map(|()| wait)
}

/// Begins the threads, which live as long as the process. None if the system gives none.
fn begin() -> Option<SyncSender<Job>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (line, jobs) = sync_channel(LINE);
    let jobs = Arc::new(Mutex::new(jobs));
    let begun = (0..cores.div_ceil(4).min(MOST_THREADS)).filter(|_| {
        let jobs = Arc::clone(&jobs);
        let builder = std::thread::Builder::new().name("signatures".into());
        builder.spawn(move || work(&jobs)).is_ok()
    });
    (begun.count() > 0).then_some(line)
}

/// Verifies one after the other.
fn work(jobs: &Mutex<Receiver<Job>>) {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    // Where this is not allowed, others wait a little longer; nothing else depends on it.
    let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle);
    loop {
        let next = lock(jobs).recv();
        let Ok(Job { token, set, allowed, answer }) = next else { return };
        // The worker has done it itself, or the client has gone.
        if answer.is_closed() {
            continue;
        }
        let token = Token::parse(&token, token.len());
        let good = token.is_ok_and(|token| token.verify_signature(&set, allowed).is_ok());
        let _ = answer.send(if good { Answer::Good } else { Answer::Bad });
    }
}
