//! A connection's one timer. Moving its deadline later, which every request does, touches no timer
//! wheel: the timer fires at the old time, sees that it is too early and arms itself again.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::task::unconstrained;
use tokio::time::{Sleep, sleep_until};

/// A deadline that moves.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    due: Option<Instant>,
    timer: Option<Timer>,
}

#[derive(Debug)]
struct Timer {
    sleep: Pin<Box<Sleep>>,
    armed: Instant,
    /// The task's waker is known to the timer. A deadline lives in one task, so it stays so.
    registered: bool,
}

impl Deadline {
    /// Sets it.
    pub(crate) fn set(&mut self, due: Instant) {
        self.due = Some(due);
    }

    /// What is left of it once nothing is waited for: its timer, for the task's next deadline.
    pub(crate) fn rest(&mut self) -> Deadline {
        Deadline { due: None, timer: self.timer.take() }
    }

    /// Ready once it has passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Timer {
            sleep: Box::pin(sleep_until(due.into())),
            armed: due,
            registered: false,
        });
        if due < timer.armed {
            timer.arm(due);
        }
        loop {
            if timer.registered && !timer.sleep.is_elapsed() {
                return Poll::Pending;
            }
            // Outside the task's budget: with none left the timer would not even note the waker, and
            // the deadline would never come.
            match pin!(unconstrained(timer.sleep.as_mut())).poll(cx) {
                Poll::Pending => {
                    timer.registered = true;
                    return Poll::Pending;
                }
                Poll::Ready(()) if timer.armed >= due => return Poll::Ready(()),
                Poll::Ready(()) => timer.arm(due),
            }
        }
    }
}

impl Timer {
    fn arm(&mut self, due: Instant) {
        self.sleep.as_mut().reset(due.into());
        self.armed = due;
        self.registered = false;
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    /// Uses up what the task may do before it must yield.
    async fn spend_budget() {
        while tokio::task::coop::has_budget_remaining() {
            tokio::task::coop::consume_budget().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_task_has_its_deadline_too() {
        let start = Instant::now();
        let mut deadline = Deadline::default();
        let task = async {
            spend_budget().await;
            deadline.set(start + Duration::from_secs(1));
            poll_fn(|cx| deadline.poll(cx)).await;
            spend_budget().await;
            deadline.set(start + Duration::from_secs(2));
            poll_fn(|cx| deadline.poll(cx)).await;
        };
        tokio::time::timeout(Duration::from_secs(60), task).await.expect("both deadlines come");
    }

    #[tokio::test(start_paused = true)]
    async fn it_can_move_both_ways() {
        let start = Instant::now();
        let tokio_start = tokio::time::Instant::now();
        let mut deadline = Deadline::default();
        deadline.set(start + Duration::from_secs(10));
        assert!(poll_fn(|cx| Poll::Ready(deadline.poll(cx).is_pending())).await);
        deadline.set(start + Duration::from_secs(1));
        poll_fn(|cx| deadline.poll(cx)).await;
        assert_eq!(tokio_start.elapsed().as_secs(), 1);
        deadline.set(start + Duration::from_secs(30));
        poll_fn(|cx| deadline.poll(cx)).await;
        assert_eq!(tokio_start.elapsed().as_secs(), 30);
    }
}
