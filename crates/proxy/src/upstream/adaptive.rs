//! How many requests a service may have under way before more of them only make it slower. Found
//! out by watching how long it takes: a service with too much to do becomes slow before it fails.
//! Pure: the clock comes in from outside.

use std::time::{Duration, Instant};

use portcullis_config::model::{Importance, Overload};

/// Requests that are let through at first; what the service can take is found out from there.
const FIRST: f64 = 32.0;
/// A window has so many samples, and lasts for so long.
const SAMPLES: usize = 16;
const WINDOW: Duration = Duration::from_millis(100);
/// Most samples of a window that are kept; of more, the first.
const MOST_SAMPLES: usize = 64;
/// How often it is asked anew what is usual, while requests are being turned away.
const PROBE_EVERY: Duration = Duration::from_secs(5);

/// The limit of one service in one worker.
#[derive(Debug)]
pub(crate) struct Adaptive {
    limit: f64,
    under_way: u32,
    /// Most under way within the window.
    peak: u32,
    /// How long the service takes when it has little to do, in microseconds; 0 before it is known.
    usual: f64,
    /// The window's samples, in microseconds.
    samples: Vec<u32>,
    since: Option<Instant>,
    /// Requests were turned away since the last probe.
    refused: bool,
    /// The limit is still growing towards the first that is too much.
    growing: bool,
    probe: Option<Probe>,
    probed: Option<Instant>,
    /// Counts up when what is measured changes; samples of before do not count.
    epoch: u32,
}

/// A short time with few requests under way, to see how long the service takes then.
#[derive(Debug, Clone, Copy)]
struct Probe {
    /// The limit to go back to.
    limit: f64,
}

/// When a request was let through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    epoch: u32,
    at: Instant,
}

impl Adaptive {
    pub(crate) fn new() -> Adaptive {
        Adaptive {
            limit: FIRST,
            under_way: 0,
            peak: 0,
            usual: 0.0,
            samples: Vec::new(),
            since: None,
            refused: false,
            growing: true,
            probe: None,
            probed: None,
            epoch: 0,
        }
    }

    /// Lets a request through, or does not.
    pub(crate) fn begin(
        &mut self,
        settings: &Overload,
        importance: Importance,
        now: Instant,
    ) -> Option<Begun> {
        let limit = self.limit(settings);
        // What matters less leaves room for what matters more.
        let share = match importance {
            Importance::Low => 0.7,
            Importance::Normal => 0.9,
            Importance::High => 1.0,
        };
        if f64::from(self.under_way) >= (limit * share).max(1.0) {
            self.refused = true;
            return None;
        }
        self.under_way += 1;
        self.peak = self.peak.max(self.under_way);
        Some(Begun { epoch: self.epoch, at: now })
    }

    /// Notes that a request has ended; whether it `tells` how long the service takes.
    pub(crate) fn end(&mut self, settings: &Overload, begun: Begun, now: Instant, tells: bool) {
        self.under_way = self.under_way.saturating_sub(1);
        if !tells || begun.epoch != self.epoch {
            return;
        }
        if self.samples.len() < MOST_SAMPLES {
            let took = now.saturating_duration_since(begun.at).as_micros();
            self.samples.push(u32::try_from(took).unwrap_or(u32::MAX));
        }
        let since = *self.since.get_or_insert(now);
        if self.samples.len() >= SAMPLES && now.saturating_duration_since(since) >= WINDOW {
            let median = self.median();
            self.judge(settings, median, now);
            self.peak = self.under_way;
            self.since = Some(now);
        }
    }

    /// Requests that may be under way.
    pub(crate) fn limit(&self, settings: &Overload) -> f64 {
        self.limit.clamp(f64::from(settings.least), f64::from(settings.most))
    }

    fn median(&mut self) -> f64 {
        let middle = self.samples.len() / 2;
        let (_, median, _) = self.samples.select_nth_unstable(middle);
        let median = f64::from(*median).max(1.0);
        self.samples.clear();
        median
    }

    /// Draws the conclusion from a window.
    fn judge(&mut self, settings: &Overload, median: f64, now: Instant) {
        if let Some(probe) = self.probe.take() {
            // With so little to do this is how long it takes, and if that has changed, so be it.
            self.usual = (self.usual + median) / 2.0;
            self.limit = probe.limit;
            self.probed = Some(now);
            self.epoch += 1;
            return;
        }
        let busy = f64::from(self.peak) * 2.0 >= self.limit;
        self.learn(median, busy);
        let slower = median / (self.usual * settings.tolerance);
        if slower > 1.0 {
            self.growing = false;
        }
        if slower > 1.0 || busy {
            let room = if self.growing { self.limit / 2.0 } else { self.limit.sqrt() };
            let wanted = self.limit * (1.0 / slower).clamp(0.5, 1.0) + room;
            let step = if self.growing { 1.0 } else { 0.3 };
            self.limit += (wanted - self.limit) * step;
            self.limit = self.limit.clamp(f64::from(settings.least), f64::from(settings.most));
        }
        let due = self.probed.is_none_or(|probed| now - probed >= PROBE_EVERY);
        if std::mem::take(&mut self.refused) && due {
            self.probe = Some(Probe { limit: self.limit });
            self.limit = (self.limit / (2.0 * settings.tolerance)).max(f64::from(settings.least));
            self.epoch += 1;
        }
    }

    /// What is usual: quicker than that is believed, slower only while there is little to do.
    fn learn(&mut self, median: f64, busy: bool) {
        if self.usual == 0.0 {
            self.usual = median;
        } else if median < self.usual {
            self.usual += (median - self.usual) * 0.3;
        } else if !busy {
            self.usual += (median - self.usual) * 0.1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const SETTINGS: Overload = Overload { least: 4, most: 1000, tolerance: 2.0 };

    /// A service with so many places, each of which takes so long for a request; more wait.
    struct Service {
        places: usize,
        takes: Duration,
        serving: Vec<(Instant, Begun)>,
        waiting: VecDeque<Begun>,
    }

    struct Seen {
        refused: usize,
        served: usize,
        /// The longest that one took.
        worst: Duration,
    }

    /// Sends `rate` requests a second for `time`, in steps of a millisecond.
    fn run(
        limit: &mut Adaptive,
        service: &mut Service,
        now: &mut Instant,
        rate: f64,
        time: Duration,
    ) -> Seen {
        let mut seen = Seen { refused: 0, served: 0, worst: Duration::ZERO };
        let mut owed = 0.0;
        let end = *now + time;
        while *now < end {
            *now += Duration::from_millis(1);
            let mut i = 0;
            while i < service.serving.len() {
                if service.serving[i].0 <= *now {
                    let (_, begun) = service.serving.swap_remove(i);
                    limit.end(&SETTINGS, begun, *now, true);
                    seen.served += 1;
                    seen.worst = seen.worst.max(*now - begun.at);
                } else {
                    i += 1;
                }
            }
            owed += rate / 1000.0;
            while owed >= 1.0 {
                owed -= 1.0;
                match limit.begin(&SETTINGS, Importance::High, *now) {
                    Some(begun) => service.waiting.push_back(begun),
                    None => seen.refused += 1,
                }
            }
            while service.serving.len() < service.places {
                let Some(begun) = service.waiting.pop_front() else { break };
                service.serving.push((*now + service.takes, begun));
            }
        }
        seen
    }

    fn service(places: usize, millis: u64) -> Service {
        Service {
            places,
            takes: Duration::from_millis(millis),
            serving: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    #[test]
    fn at_twice_the_capacity_nearly_all_of_it_is_used_and_nothing_takes_long() {
        let (mut limit, mut now) = (Adaptive::new(), Instant::now());
        // 50 places of 20 ms: 2500 a second.
        let mut service = service(50, 20);
        run(&mut limit, &mut service, &mut now, 5000.0, Duration::from_secs(5));
        let seen = run(&mut limit, &mut service, &mut now, 5000.0, Duration::from_secs(60));
        assert!(seen.served > 2500 * 60 * 90 / 100, "{} served", seen.served);
        assert!(seen.refused > 0);
        assert!(seen.worst < Duration::from_millis(150), "{:?}", seen.worst);
    }

    #[test]
    fn below_the_capacity_nothing_is_refused() {
        let (mut limit, mut now) = (Adaptive::new(), Instant::now());
        let mut service = service(200, 20);
        run(&mut limit, &mut service, &mut now, 1000.0, Duration::from_secs(1));
        let seen = run(&mut limit, &mut service, &mut now, 9000.0, Duration::from_secs(20));
        let late = run(&mut limit, &mut service, &mut now, 9000.0, Duration::from_secs(20));
        assert!(seen.refused < 9000 / 2, "{} refused", seen.refused);
        assert_eq!(late.refused, 0, "{limit:?}");
    }

    #[test]
    fn a_service_that_has_become_slower_for_good_is_believed() {
        let (mut limit, mut now) = (Adaptive::new(), Instant::now());
        let mut service = service(500, 10);
        run(&mut limit, &mut service, &mut now, 2000.0, Duration::from_secs(5));
        service.takes = Duration::from_millis(60);
        run(&mut limit, &mut service, &mut now, 2000.0, Duration::from_secs(40));
        let seen = run(&mut limit, &mut service, &mut now, 2000.0, Duration::from_secs(10));
        assert_eq!(seen.refused, 0, "{limit:?}");
    }

    #[test]
    fn what_matters_less_is_turned_away_first() {
        let (mut limit, now) = (Adaptive::new(), Instant::now());
        let mut let_in = |importance| {
            let mut count = 0;
            while limit.begin(&SETTINGS, importance, now).is_some() {
                count += 1;
            }
            count
        };
        let counts = [Importance::Low, Importance::Normal, Importance::High].map(&mut let_in);
        assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
        assert_eq!(counts.iter().sum::<usize>(), FIRST as usize);
    }

    #[test]
    fn the_least_is_always_let_through_and_failures_tell_nothing() {
        let (mut limit, mut now) = (Adaptive::new(), Instant::now());
        for _ in 0..10_000 {
            now += Duration::from_millis(50);
            let begun = limit.begin(&SETTINGS, Importance::High, now);
            let took = Duration::from_millis(fastrand::u64(1..500));
            if let Some(begun) = begun {
                limit.end(&SETTINGS, begun, now + took, fastrand::bool());
            }
        }
        assert!(limit.limit(&SETTINGS) >= 4.0);
        assert_eq!(limit.under_way, 0);
    }
}
