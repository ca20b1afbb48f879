//! Which endpoints fare worse than they should, from what was counted within a while. Pure.

use portcullis_config::model::{LatencyOutlier, Outliers, SuccessRate};
use portcullis_core::health::EjectionCause;

use super::Totals;

/// Which of these endpoints should be ejected, and why: their positions, the worst first.
pub(super) fn judge(
    settings: &Outliers,
    counted: &[Totals],
) -> Vec<(usize, EjectionCause, String)> {
    let mut found = Vec::new();
    if let Some(settings) = &settings.success_rate {
        unsuccessful(settings, counted, &mut found);
    }
    if let Some(settings) = &settings.latency {
        slow(settings, counted, &mut found);
    }
    found
}

type Found = Vec<(usize, EjectionCause, String)>;

fn unsuccessful(settings: &SuccessRate, counted: &[Totals], found: &mut Found) {
    let rate = |of: &Totals| 1.0 - of.errors as f64 / of.requests as f64;
    let judged = counted.iter().enumerate();
    let mut judged: Vec<(usize, f64)> = judged
        .filter(|(_, of)| of.requests > 0 && of.requests >= u64::from(settings.requests))
        .map(|(i, of)| (i, rate(of)))
        .collect();
    let least = settings.minimum.max(fence(settings, &judged).unwrap_or(0.0));
    judged.retain(|(_, rate)| *rate < least);
    judged.sort_by(|a, b| a.1.total_cmp(&b.1));
    found.extend(judged.into_iter().map(|(i, rate)| {
        let why = format!("{:.1} % succeed, at least {:.1} % should", rate * 100.0, least * 100.0);
        (i, EjectionCause::SuccessRate, why)
    }));
}

/// The rate below which an endpoint lies too far from the others.
fn fence(settings: &SuccessRate, judged: &[(usize, f64)]) -> Option<f64> {
    if judged.len() < settings.endpoints as usize {
        return None;
    }
    let count = judged.len() as f64;
    let mean = judged.iter().map(|(_, rate)| rate).sum::<f64>() / count;
    let variance = judged.iter().map(|(_, rate)| (rate - mean).powi(2)).sum::<f64>() / count;
    Some(mean - settings.deviations * variance.sqrt())
}

fn slow(settings: &LatencyOutlier, counted: &[Totals], found: &mut Found) {
    let mut judged: Vec<(usize, f64)> = counted
        .iter()
        .enumerate()
        .filter(|(_, of)| of.requests > 0 && of.requests >= u64::from(settings.requests))
        .map(|(i, of)| (i, of.latency_us as f64 / of.requests as f64))
        .collect();
    if judged.len() < settings.endpoints as usize || judged.is_empty() {
        return;
    }
    judged.sort_by(|a, b| b.1.total_cmp(&a.1));
    // Of an even number the faster of the two in the middle.
    let middle = judged[judged.len() / 2].1;
    let most = (middle * settings.factor).max(settings.at_least.as_micros() as f64);
    judged.retain(|(_, mean)| *mean > most);
    found.extend(judged.into_iter().map(|(i, mean)| {
        let why = format!("{:.1} ms on average, at most {:.1} ms expected", mean / 1e3, most / 1e3);
        (i, EjectionCause::Latency, why)
    }));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings() -> Outliers {
        Outliers {
            consecutive_5xx: None,
            consecutive_gateway_errors: None,
            success_rate: Some(SuccessRate {
                minimum: 0.0,
                deviations: 1.9,
                endpoints: 5,
                requests: 100,
            }),
            latency: Some(LatencyOutlier {
                factor: 3.0,
                at_least: Duration::from_millis(10),
                endpoints: 3,
                requests: 100,
            }),
            interval: Duration::from_secs(10),
            base_ejection: Duration::from_secs(10),
            max_ejection: Duration::from_secs(300),
            max_ejected: 0.5,
        }
    }

    fn of(requests: u64, errors: u64, mean_ms: u64) -> Totals {
        Totals { requests, errors, latency_us: requests * mean_ms * 1000 }
    }

    fn found(settings: &Outliers, counted: &[Totals]) -> Vec<(usize, EjectionCause)> {
        judge(settings, counted).into_iter().map(|(i, cause, _)| (i, cause)).collect()
    }

    #[test]
    fn who_lies_far_below_the_mean_is_found() {
        let mut counted = vec![of(100, 0, 1), of(200, 2, 1), of(150, 1, 1), of(100, 40, 1)];
        assert!(found(&settings(), &counted).is_empty(), "four are too few");
        counted.push(of(100, 0, 1));
        assert_eq!(found(&settings(), &counted), [(3, EjectionCause::SuccessRate)]);
        counted[3].requests = 99;
        assert!(found(&settings(), &counted).is_empty(), "too few requests");
    }

    #[test]
    fn when_all_are_alike_nobody_is_found() {
        assert!(found(&settings(), &[of(100, 50, 20); 5]).is_empty());
        assert!(found(&settings(), &[of(0, 0, 0); 5]).is_empty());
        assert!(found(&settings(), &[]).is_empty());
    }

    #[test]
    fn a_minimum_needs_no_others() {
        let mut settings = settings();
        settings.success_rate.as_mut().unwrap().minimum = 0.8;
        let counted = [of(100, 30, 1), of(100, 10, 1), of(100, 90, 1)];
        let expected = [(2, EjectionCause::SuccessRate), (0, EjectionCause::SuccessRate)];
        assert_eq!(found(&settings, &counted), expected, "the worst first");
    }

    #[test]
    fn the_slow_are_those_far_above_the_middle() {
        let counted = [of(100, 0, 5), of(100, 0, 6), of(100, 0, 40)];
        assert_eq!(found(&settings(), &counted), [(2, EjectionCause::Latency)]);
        // Three times as slow, but fast enough for anybody.
        let counted = [of(100, 0, 1), of(100, 0, 1), of(100, 0, 9)];
        assert!(found(&settings(), &counted).is_empty());
        // Two of four: the faster half is what the others are held against.
        let counted = [of(100, 0, 5), of(100, 0, 5), of(100, 0, 50), of(100, 0, 60)];
        let expected = [(3, EjectionCause::Latency), (2, EjectionCause::Latency)];
        assert_eq!(found(&settings(), &counted), expected);
    }
}
