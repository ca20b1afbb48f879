//! Tasks that serve exchanges over HTTP/2, one after the other: a stream that finds one at rest
//! costs no task of its own, no timer, and no place among those who are woken when the worker drains.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use tokio::task::spawn_local;

use crate::client::{Client, exchange};
use crate::worker::Worker;

/// Most hands that a worker keeps at rest; each has the memory of an exchange.
const KEPT: usize = 256;

/// A worker's hands that have nothing to do.
#[derive(Debug, Default)]
pub(crate) struct Hands(RefCell<Vec<Rc<Hand>>>);

/// One task.
#[derive(Debug)]
struct Hand {
    /// The exchange to serve next.
    job: RefCell<Option<Client>>,
    waker: Waker,
}

impl Hands {
    /// Gives an exchange to a hand at rest, or to a new one.
    pub(super) fn give(worker: &Rc<Worker>, client: Client) {
        let rested = worker.hands.0.borrow_mut().pop();
        match rested {
            Some(hand) => {
                *hand.job.borrow_mut() = Some(client);
                hand.waker.wake_by_ref();
            }
            None => drop(spawn_local(work(Rc::clone(worker), client))),
        }
    }

    /// Puts a hand to rest; false when enough rest already.
    fn rest(&self, hand: &Rc<Hand>) -> bool {
        let mut hands = self.0.borrow_mut();
        let rests = hands.len() < KEPT;
        if rests {
            hands.push(Rc::clone(hand));
        }
        rests
    }
}

/// The life of a hand.
async fn work(worker: Rc<Worker>, mut client: Client) {
    let waker = worker.register_waker().await;
    let own = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let hand = Rc::new(Hand { job: RefCell::default(), waker: own });
    loop {
        exchange(&worker, &mut client).await;
        client.let_finish().await;
        let deadline = client.deadline.rest();
        drop(client);
        if !worker.hands.rest(&hand) {
            break;
        }
        client = poll_fn(|_| hand.job.borrow_mut().take().map_or(Poll::Pending, Poll::Ready)).await;
        client.deadline = deadline;
    }
    drop(waker);
}
