//! How late a worker is with what it has to do: the sign that it has more to do than it can.

use std::cell::Cell;
use std::time::Duration;

use portcullis_config::model::Importance;

/// How late a worker was, the last two times that it looked. A pause of the whole machine makes one
/// look late and says nothing; two in a row do.
#[derive(Debug, Default)]
pub(crate) struct Lag {
    last: Cell<Duration>,
    /// The lesser of the last two.
    steady: Cell<Duration>,
}

impl Lag {
    /// Notes how late the worker was this time.
    pub(crate) fn note(&self, late: Duration) {
        self.steady.set(late.min(self.last.replace(late)));
    }

    /// Whether requests of such importance are too much, where `bearable` is how late a worker may
    /// be for the least of them.
    pub(crate) fn is_too_much(&self, bearable: Duration, importance: Importance) -> bool {
        self.steady.get() > bearable.saturating_mul(importance.patience())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_late_look_says_nothing_and_two_turn_away_by_importance() {
        let bearable = Duration::from_millis(100);
        let lag = Lag::default();
        let turned_away = |lag: &Lag| {
            [Importance::Low, Importance::Normal, Importance::High]
                .map(|importance| lag.is_too_much(bearable, importance))
        };
        lag.note(Duration::from_secs(9));
        assert_eq!(turned_away(&lag), [false, false, false]);
        lag.note(Duration::from_millis(250));
        assert_eq!(turned_away(&lag), [true, true, false]);
        lag.note(Duration::from_millis(150));
        assert_eq!(turned_away(&lag), [true, false, false]);
        lag.note(Duration::ZERO);
        assert_eq!(turned_away(&lag), [false, false, false]);
    }
}
