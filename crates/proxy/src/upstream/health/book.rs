//! What the health thread keeps of an endpoint, and what it makes of a check. No I/O.

use std::time::{Duration, SystemTime};

use portcullis_config::model::ActiveCheck;
use portcullis_core::health::CheckResult;

use super::Verdict;
use crate::upstream::outlier::eject::Ejections;

/// What the health thread keeps of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Checks in a row that said otherwise than the verdict.
    pub(crate) against: u32,
    /// The last check that has ended.
    pub(crate) last: Option<LastCheck>,
    pub(crate) ejections: Ejections,
}

/// A check that has ended.
#[derive(Debug, Clone)]
pub struct LastCheck {
    /// When it ended.
    pub at: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub result: CheckResult,
    /// What was wrong precisely; empty if nothing was.
    pub detail: String,
}

impl Book {
    /// What a check makes of the verdict. The first check decides alone.
    pub(crate) fn judge(
        &mut self,
        verdict: Verdict,
        passed: bool,
        settings: &ActiveCheck,
    ) -> Verdict {
        let (agrees, enough, other) = match verdict {
            Verdict::Unchecked | Verdict::Awaited => {
                self.against = 0;
                return if passed { Verdict::Healthy } else { Verdict::Unhealthy };
            }
            Verdict::Healthy => (passed, settings.unhealthy, Verdict::Unhealthy),
            Verdict::Unhealthy => (!passed, settings.healthy, Verdict::Healthy),
        };
        if agrees {
            self.against = 0;
            return verdict;
        }
        self.against += 1;
        if self.against < enough {
            return verdict;
        }
        self.against = 0;
        other
    }
}

#[cfg(test)]
mod tests {
    use portcullis_config::model::CheckKind;

    use super::*;

    fn settings() -> ActiveCheck {
        ActiveCheck {
            kind: CheckKind::Tcp,
            interval: Duration::from_secs(10),
            fast_interval: Duration::from_secs(1),
            jitter: 0.1,
            timeout: Duration::from_secs(1),
            healthy: 2,
            unhealthy: 3,
            initially_healthy: true,
            port: None,
        }
    }

    /// The verdicts after each of these checks.
    fn verdicts(first: Verdict, checks: &str) -> String {
        let mut book = Book::default();
        let mut verdict = first;
        let judged = checks.chars().map(|check| {
            verdict = book.judge(verdict, check == '+', &settings());
            if verdict.takes_requests() { 'h' } else { 'u' }
        });
        judged.collect()
    }

    #[test]
    fn the_first_check_decides_alone() {
        assert_eq!(verdicts(Verdict::Unchecked, "+"), "h");
        assert_eq!(verdicts(Verdict::Unchecked, "-"), "u");
        assert_eq!(verdicts(Verdict::Awaited, "+"), "h");
        assert_eq!(verdicts(Verdict::Awaited, "-"), "u");
    }

    #[test]
    fn then_it_takes_several_in_a_row() {
        assert_eq!(verdicts(Verdict::Healthy, "---"), "hhu");
        assert_eq!(verdicts(Verdict::Healthy, "--+--+--"), "hhhhhhhh");
        assert_eq!(verdicts(Verdict::Unhealthy, "+-+-++"), "uuuuuh");
        // After a change of sides the count begins anew.
        assert_eq!(verdicts(Verdict::Healthy, "---+---+"), "hhuuuuuu");
    }
}
