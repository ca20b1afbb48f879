//! Those who wait for a seat of one key, the first at the head.

use std::collections::VecDeque;

use tokio::sync::oneshot::{Receiver, Sender, channel};

/// A line. Who leaves it stays among the calls until it would be called, or until too many have left:
/// nobody who comes or goes looks at all others.
#[derive(Debug, Default)]
pub(super) struct Line {
    calls: VecDeque<Sender<()>>,
    waiting: usize,
}

/// Who has left and is still among the calls, beyond as many as wait.
const LEFT: usize = 16;

impl Line {
    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Joins it at its end. The call comes when it is one's turn.
    pub(super) fn join(&mut self) -> Receiver<()> {
        let (call, receiver) = channel();
        self.calls.push_back(call);
        self.waiting += 1;
        receiver
    }

    /// Calls the first. False if nobody is there.
    pub(super) fn call(&mut self) -> bool {
        while let Some(first) = self.calls.pop_front() {
            if first.send(()).is_ok() {
                self.waiting -= 1;
                return true;
            }
        }
        false
    }

    /// Somebody who was not called leaves, and has closed the receiver.
    pub(super) fn leave(&mut self) {
        self.waiting -= 1;
        if self.calls.len() > 2 * self.waiting + LEFT {
            self.calls.retain(|call| !call.is_closed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_first_is_called_first_and_who_left_is_not() {
        let mut line = Line::default();
        let mut receivers: Vec<_> = (0..1000).map(|_| line.join()).collect();
        let (mut looked_at, mut before) = (0, 1000);
        for receiver in receivers.iter_mut().rev().take(998) {
            receiver.close();
            line.leave();
            if line.calls.len() < before {
                looked_at += before;
            }
            before = line.calls.len();
            assert!(before <= 2 * line.waiting() + LEFT);
        }
        // All together looked at each only a few times.
        assert!(looked_at < 3000, "{looked_at}");
        receivers[0].close();
        line.leave();
        assert!(line.call() && receivers[1].try_recv().is_ok());
        assert!(!line.call() && line.waiting() == 0);
    }
}
