//! Places for exchanges with an endpoint, taken in turn. They belong to one worker, so counting
//! them takes neither a lock nor an atomic.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::Notify;

/// The places that there are.
#[derive(Debug)]
pub(crate) struct Seats {
    most: usize,
    taken: Cell<usize>,
    /// Those who wait for one; whoever comes later stands behind them.
    waiting: Cell<usize>,
    freed: Notify,
}

/// A place for one exchange with an endpoint.
#[derive(Debug)]
pub(crate) struct Seat(Rc<Seats>);

impl Seats {
    pub(crate) fn new(most: usize) -> Rc<Seats> {
        let (taken, waiting) = (Cell::new(0), Cell::new(0));
        Rc::new(Seats { most, taken, waiting, freed: Notify::new() })
    }

    /// How many there are.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// Whether nobody has one.
    pub(crate) fn are_free(&self) -> bool {
        self.taken.get() == 0
    }

    /// Takes one if it is free and nobody waits for it.
    pub(crate) fn take(self: &Rc<Self>) -> Option<Seat> {
        if self.waiting.get() > 0 {
            return None;
        }
        self.sit_down()
    }

    /// Takes one when it is our turn.
    pub(crate) async fn wait(self: Rc<Self>) -> Seat {
        let _waiting = Waiting::begin(&self.waiting);
        loop {
            // There is one of these for each place that is freed; one may be left over from somebody
            // who gave up, and then there is no place.
            self.freed.notified().await;
            if let Some(seat) = self.sit_down() {
                return seat;
            }
        }
    }

    fn sit_down(self: &Rc<Self>) -> Option<Seat> {
        let taken = self.taken.get();
        (taken < self.most).then(|| {
            self.taken.set(taken + 1);
            Seat(Rc::clone(self))
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let seats = &self.0;
        seats.taken.set(seats.taken.get() - 1);
        if seats.waiting.get() > 0 {
            seats.freed.notify_one();
        }
    }
}

/// Counts one who waits for as long as it does.
struct Waiting<'a>(&'a Cell<usize>);

impl Waiting<'_> {
    fn begin(count: &Cell<usize>) -> Waiting<'_> {
        count.set(count.get() + 1);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll(waiting: std::pin::Pin<&mut impl Future<Output = Seat>>) -> Option<Seat> {
        match waiting.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(seat) => Some(seat),
            Poll::Pending => None,
        }
    }

    #[test]
    fn whoever_came_first_sits_first() {
        let seats = Seats::new(1);
        let seat = seats.take().unwrap();
        let mut first = pin!(Rc::clone(&seats).wait());
        let mut second = pin!(Rc::clone(&seats).wait());
        assert!(poll(first.as_mut()).is_none() && poll(second.as_mut()).is_none());
        drop(seat);
        assert!(seats.take().is_none(), "others came before");
        assert!(poll(second.as_mut()).is_none());
        let seat = poll(first.as_mut()).unwrap();
        assert!(poll(second.as_mut()).is_none());
        drop(seat);
        assert!(poll(second.as_mut()).is_some() && seats.are_free());
    }

    #[test]
    fn a_place_is_not_lost_with_who_should_have_had_it() {
        let seats = Seats::new(2);
        let both = (seats.take(), seats.take());
        let mut first = Box::pin(Rc::clone(&seats).wait());
        let mut second = pin!(Rc::clone(&seats).wait());
        assert!(poll(first.as_mut()).is_none() && poll(second.as_mut()).is_none());
        drop(both.0);
        drop(first);
        let seat = poll(second.as_mut());
        assert!(seat.is_some());
        // Two places become free and one is waited for.
        let mut third = Box::pin(Rc::clone(&seats).wait());
        assert!(poll(third.as_mut()).is_none());
        drop((seat, both.1));
        drop(third);
        let (a, b) = (seats.take(), seats.take());
        assert!(a.is_some() && b.is_some() && seats.take().is_none());
        let mut late = pin!(Rc::clone(&seats).wait());
        assert!(poll(late.as_mut()).is_none(), "what is left over is no place");
        drop(a);
        assert!(poll(late.as_mut()).is_some());
    }
}
