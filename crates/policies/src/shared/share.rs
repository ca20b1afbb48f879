//! A node's share of a key: what requests take from, and what the background asks of the store.
//! Pure functions of one word, which all workers and the background change in single steps; times
//! are milliseconds of a clock that never goes back.

/// Bits of the word: 70 of the 72 that a table keeps for a key.
const TOKENS: u32 = 24;
const UNTIL: u32 = 38;
const LOW: u32 = 5;

/// The largest share.
pub(super) const MOST: u64 = (1 << TOKENS) - 1;
/// How long a share lasts in the store when nobody renews it.
pub(super) const LASTS_MS: u64 = 10_000;
/// For how long a share should be enough, at the rate at which it is used.
const AHEAD_S: f64 = 0.25;
/// The same while there is plenty: the store is asked seldom, and never by a request.
const FAR_AHEAD_S: f64 = 4.0;
/// Plenty is so many times what a node takes of its even part of what is left.
const PLENTY: u64 = 8;
/// The shortest time between two looks for what has come in of a limit that is used up.
const LOOK_MS: u64 = 5;
/// What came in less time is no rate.
const MOMENT_MS: u64 = 20;
/// How often a share is looked at that nobody asks about.
const LOOK_AGAIN_MS: u64 = 1000;
/// Such looks come together, so that their messages do.
const TOGETHER_MS: u64 = 50;
/// How much longer than to the next look requests are refused without asking.
const GRACE_MS: u64 = 100;

/// What a node has of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Share {
    /// What may be taken, until then. Of a key that is used up nothing is there until then.
    pub(super) tokens: u64,
    pub(super) until: u64,
    /// One more than the power of two below which more is asked for; 0 is never.
    low: u32,
    /// The background knows that more is wanted.
    asked: bool,
    /// The store had nothing to give.
    used_up: bool,
    /// A request was refused since.
    refused: bool,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It may pass; the background is to ask for more.
    Passed { ask: bool },
    /// It may not, for so many milliseconds.
    Refused { for_ms: u64 },
    /// There is nothing to say without the store. The background is to ask for a share.
    Unknown { ask: bool },
}

impl Share {
    pub(super) fn of(state: u128) -> Share {
        let bits = |from: u32, count: u32| (state >> from) as u64 & ((1 << count) - 1);
        Share {
            tokens: bits(0, TOKENS),
            until: bits(TOKENS, UNTIL),
            low: bits(TOKENS + UNTIL, LOW) as u32,
            asked: bits(TOKENS + UNTIL + LOW, 1) == 1,
            used_up: bits(TOKENS + UNTIL + LOW + 1, 1) == 1,
            refused: bits(TOKENS + UNTIL + LOW + 2, 1) == 1,
        }
    }

    pub(super) fn state(self) -> u128 {
        let mut state = u128::from(self.refused);
        for (value, count) in [
            (u64::from(self.used_up), 1),
            (u64::from(self.asked), 1),
            (self.low.into(), LOW),
            (self.until, UNTIL),
            (self.tokens, TOKENS),
        ] {
            state = state << count | u128::from(value.min((1 << count) - 1));
        }
        state
    }

    /// What a table may forget: nothing of what counts.
    pub(super) fn worth(state: u128, now: u64) -> u64 {
        if now < Share::of(state).until { u64::MAX } else { 0 }
    }

    pub(super) fn is_used_up(&self, now: u64) -> bool {
        self.used_up && now < self.until
    }

    fn there(&self, now: u64) -> u64 {
        if now < self.until && !self.used_up { self.tokens } else { 0 }
    }

    /// Takes what a request costs. `credit` is what the node may use of a key that it knows nothing
    /// of. Gives the share as it is then, if it is another.
    pub(super) fn take(self, now: u64, cost: u64, credit: u64) -> (Option<Share>, Taken) {
        if self.is_used_up(now) {
            let marked = (!self.refused).then_some(Share { refused: true, ..self });
            return (
                marked,
                Taken::Refused { for_ms: self.until.saturating_sub(now + GRACE_MS).max(1) },
            );
        }
        if self == Share::default() && credit >= cost {
            let lent = Share { tokens: credit - cost, until: now + LASTS_MS, asked: true, ..self };
            return (Some(lent), Taken::Passed { ask: true });
        }
        let there = self.there(now);
        if there >= cost {
            let tokens = there - cost;
            let ask = !self.asked && self.low > 0 && tokens < 1 << (self.low - 1);
            let left = Share { tokens, asked: self.asked || ask, ..self };
            return (Some(left), Taken::Passed { ask });
        }
        let ask = !self.asked;
        (ask.then_some(Share { asked: true, ..self }), Taken::Unknown { ask })
    }
}

impl Share {
    /// The share with what a request took from it and did not need; none if it has run out.
    pub(super) fn put_back(self, now: u64, cost: u64) -> Option<Share> {
        let there = now < self.until && !self.used_up;
        there.then(|| Share { tokens: (self.tokens + cost).min(MOST), ..self })
    }

    /// The share of which the background knows nothing.
    pub(super) fn unasked(self) -> Share {
        Share { asked: false, ..self }
    }

    /// The share with nothing in it, but not as if it were new.
    pub(super) fn emptied(self) -> Share {
        Share { tokens: 0, ..self }
    }
}

/// What the background remembers of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Book {
    /// What the node had when it last looked.
    held: u64,
    /// What was lent of a new key and is not told yet.
    lent: u64,
    /// What is used in a second.
    rate: f64,
    /// As long as it takes no more than this, it takes nothing away from others.
    plenty: u64,
    /// The store had nothing to give when it was last asked.
    scarce: bool,
    looked: u64,
}

/// What is to be done about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It can be forgotten.
    Forget,
    /// All is well.
    Wait,
    /// The store is to be told.
    Tell(Order),
}

/// What the store is told about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    /// What the node still has.
    pub(super) have: u64,
    /// What it gives back.
    pub(super) back: u64,
    /// What it used without having it.
    pub(super) debt: u64,
    pub(super) want: u64,
    /// Less than this is of no use.
    pub(super) least: u64,
}

/// What the store gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) granted: u64,
    /// Until there is something to be had again, in milliseconds.
    pub(super) wait: u64,
    /// How long the share lasts from when it was ordered, in milliseconds.
    pub(super) valid: u64,
    /// What nobody holds then.
    pub(super) left: u64,
    /// Nodes that hold something.
    pub(super) holders: u64,
}

impl Book {
    /// For a key that is new to the background.
    pub(super) fn new(now: u64) -> Book {
        Book { held: 0, lent: 0, rate: 0.0, plenty: 0, scarce: false, looked: now }
    }

    /// Notes that so much was lent of a key that seemed new.
    pub(super) fn lend(&mut self, lent: u64) {
        (self.held, self.lent) = (self.held + lent, self.lent + lent);
    }

    /// What the node had when it last looked.
    pub(super) fn held(&self) -> u64 {
        self.held
    }

    /// Looks at a share: gives it without what goes back or has run out, and what is to be done.
    /// `asked` says that requests want more.
    pub(super) fn look(
        &mut self,
        share: Share,
        now: u64,
        least: u64,
        asked: bool,
    ) -> (Share, Step) {
        let there = if now < share.until { share.tokens } else { 0 };
        let used = self.held.saturating_sub(there);
        let seconds = now.saturating_sub(self.looked).max(MOMENT_MS) as f64 / 1000.0;
        // It rises at once and falls slowly: too much goes back, and too little makes requests wait.
        self.rate = (used as f64 / seconds).max(self.rate * 0.7);
        (self.held, self.looked) = (there, now);
        let enough = ((self.rate * AHEAD_S) as u64).min(MOST / 2).max(least);
        let far = ((self.rate * FAR_AHEAD_S) as u64).min(self.plenty);
        let enough = enough.max(far.min(MOST / 2));
        let order = Order { have: there, back: 0, debt: 0, want: 0, least };

        if self.lent > 0 {
            // It was never the store's, which only hears what was used of it, and gives as much.
            let order = Order { have: 0, debt: self.lent - there.min(self.lent), ..order };
            let order = Order { want: enough.max(there), ..order };
            return (Share { tokens: there, asked: true, ..share }, Step::Tell(order));
        }
        if !asked && !share.refused && used == 0 {
            // Nobody has come since the last look.
            let order = Order { have: 0, back: there, ..order };
            return match there {
                // Nothing is lent of what is used up: the next request asks the store.
                0 if self.scarce => (Share { until: 1, ..Share::default() }, Step::Forget),
                0 => (Share::default(), Step::Forget),
                // Not as if it were new: what is lent of a new key is not expected here.
                _ => (Share { tokens: 0, asked: true, ..share }, Step::Tell(order)),
            };
        }
        if share.used_up {
            let order = Order { have: 0, back: there, want: enough, ..order };
            let waiting = Share { tokens: 0, asked: true, refused: false, ..share };
            return (waiting, Step::Tell(order));
        }
        // Where shares are for long, they are filled up here, before a request has to ask.
        let low = far == enough && there < enough * 5 / 8;
        if asked || low || share.until < now + LASTS_MS / 2 {
            let order = Order { want: enough.saturating_sub(there), ..order };
            return (Share { tokens: there, asked: true, ..share }, Step::Tell(order));
        }
        if there > 2 * enough && there > self.plenty {
            let order = Order { have: enough, back: there - enough, ..order };
            return (Share { tokens: enough, asked: true, ..share }, Step::Tell(order));
        }
        (share, Step::Wait)
    }

    /// Puts what the store gave into the share; `sent` is when it was told. Gives when to look at
    /// the key again.
    pub(super) fn settle(
        &mut self,
        share: Share,
        order: &Order,
        grant: Grant,
        sent: u64,
    ) -> (Share, u64) {
        let mut tokens = (share.tokens + grant.granted).min(MOST);
        if self.lent > 0 {
            // What was lent gives way to what was granted; of that, what was used meanwhile is gone.
            let used = self.held.saturating_sub(share.tokens);
            tokens = grant.granted.saturating_sub(used);
            self.lent = used.saturating_sub(grant.granted);
        }
        self.held = order.have + grant.granted;
        self.plenty = grant.left / (PLENTY * grant.holders.max(1));
        self.scarce = grant.granted == 0 && (order.want > 0 || self.scarce);
        if tokens < order.least && grant.granted == 0 && order.want > 0 && grant.wait > 0 {
            // Requests are refused at once; when something should have come in, the background looks.
            let look = sent + grant.wait.max(LOOK_MS);
            let until = look + GRACE_MS;
            return (Share { tokens, until, used_up: true, ..Share::default() }, look);
        }
        let low = match grant.granted {
            0 => 1,
            // Long before, a look fills it up.
            _ if tokens / 4 >= (self.rate * AHEAD_S) as u64 => (tokens / 4).max(1).ilog2() + 1,
            _ => (tokens / 2).max(1).ilog2() + 1,
        };
        let renewed = Share { tokens, until: sent + grant.valid, low, ..Share::default() };
        (renewed, look_again(sent, grant.valid / 2))
    }
}

/// When a share is looked at again that all is well with, at the latest after so many milliseconds.
pub(super) fn look_again(now: u64, most: u64) -> u64 {
    let due = (now + LOOK_AGAIN_MS).next_multiple_of(TOGETHER_MS);
    due.min(now + most)
}

#[cfg(test)]
mod tests;
