//! Periods of the calendar: which minute ends the current one, in a time zone with its summer time.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, ZonedDateTime};
use portcullis_config::model::Period;

use crate::limit::Allowance;

/// The periods of a quota. The calendar is looked at once a period.
#[derive(Debug)]
pub(crate) struct Calendar {
    period: Period,
    zone: TimeZone,
    /// The minute at which the current period ends, since 1970 in UTC.
    end: AtomicU32,
}

impl Calendar {
    /// A zone that is not known counts as UTC; the configuration has only known ones.
    pub(crate) fn new(period: Period, zone: &str) -> Calendar {
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        Calendar { period, zone, end: AtomicU32::new(0) }
    }

    /// What is allowed at `now`, nanoseconds since 1970.
    pub(crate) fn allowance(&self, limit: u64, now: u64) -> Allowance {
        const MINUTE: u64 = 60_000_000_000;
        let mut end = self.end.load(Relaxed);
        // A clock that is set back stays in the period that it had reached, which by then is the
        // stricter of the two, unless it is set back by more than a period lasts.
        let left = (u64::from(end) * MINUTE).checked_sub(now).filter(|&left| left > 0);
        let left = left.filter(|&left| left <= self.longest()).unwrap_or_else(|| {
            // Everybody who does it at once comes to the same.
            end = self.end_after(now);
            self.end.store(end, Relaxed);
            (u64::from(end) * MINUTE).saturating_sub(now)
        });
        Allowance { limit, end, left }
    }

    /// The length of the longest period, in nanoseconds: with an hour for the end of summer time.
    fn longest(&self) -> u64 {
        const HOUR: u64 = 3_600_000_000_000;
        match self.period {
            Period::Hour => 2 * HOUR,
            Period::Day => 25 * HOUR,
            Period::Month => (31 * 24 + 1) * HOUR,
        }
    }

    fn end_after(&self, now: u64) -> u32 {
        let at = Timestamp::from_nanosecond(i128::from(now)).unwrap_or(Timestamp::UNIX_EPOCH);
        let here = at.to_zoned_datetime(self.zone.clone());
        // Beyond the end of jiff's calendar an hour of UTC has to do.
        let end = self.next(&here).map_or(now / 1_000_000_000 + 3600, |next| {
            u64::try_from(next.timestamp().as_second()).unwrap_or(0)
        });
        u32::try_from(end.div_ceil(60)).unwrap_or(u32::MAX)
    }

    fn next(&self, here: &ZonedDateTime) -> Result<ZonedDateTime, jiff::Error> {
        match self.period {
            Period::Hour => {
                // From the hour's beginning on the same side of a change of the clock.
                let into = i64::from(here.minute()) * 60 + i64::from(here.second());
                let nanos = i64::from(here.subsec_nanosecond());
                here.checked_add((3600 - into).seconds())?.checked_sub(nanos.nanoseconds())
            }
            Period::Day => here.tomorrow()?.start_of_day(),
            Period::Month => here.last_of_month()?.tomorrow()?.start_of_day(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(period: Period, zone: &str, at: &str) -> String {
        let at: Timestamp = at.parse().unwrap();
        let calendar = Calendar::new(period, zone);
        let now = u64::try_from(at.as_nanosecond()).unwrap();
        let allowance = calendar.allowance(1, now);
        let end = Timestamp::from_second(i64::from(allowance.end) * 60).unwrap();
        assert_eq!(end.as_nanosecond() - at.as_nanosecond(), i128::from(allowance.left));
        end.to_string()
    }

    #[test]
    fn periods_end_by_the_calendar_of_their_zone() {
        for (period, zone, at, expected) in [
            (Period::Hour, "UTC", "2026-11-23T20:30:05.5Z", "2026-11-23T21:00:00Z"),
            (Period::Hour, "UTC", "2026-11-23T20:00:00Z", "2026-11-23T21:00:00Z"),
            (Period::Hour, "Asia/Kolkata", "2026-11-23T20:45:00Z", "2026-11-23T21:30:00Z"),
            (Period::Day, "UTC", "2026-11-23T20:30:00Z", "2026-11-24T00:00:00Z"),
            (Period::Day, "Europe/Berlin", "2026-11-23T22:59:59Z", "2026-11-23T23:00:00Z"),
            (Period::Day, "Europe/Berlin", "2026-11-23T23:00:00Z", "2026-11-24T23:00:00Z"),
            // Days of 23 and of 25 hours.
            (Period::Day, "Europe/Berlin", "2026-03-28T23:30:00Z", "2026-03-29T22:00:00Z"),
            (Period::Day, "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            // The hour that comes twice is two hours.
            (Period::Hour, "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"),
            (Period::Month, "UTC", "2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z"),
            (Period::Month, "America/New_York", "2026-12-15T00:00:00Z", "2027-01-01T05:00:00Z"),
        ] {
            assert_eq!(end(period, zone, at), expected, "{period:?} {zone} {at}");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_stays_in_its_period() {
        let calendar = Calendar::new(Period::Hour, "UTC");
        let second = 1_000_000_000;
        let now = 1_000_000 * 3600 * second;
        let later = calendar.allowance(1, now);
        assert_eq!(calendar.allowance(1, now - second).end, later.end);
        assert_ne!(calendar.allowance(1, now - 7200 * second).end, later.end);
        assert_ne!(calendar.allowance(1, now + 3600 * second).end, later.end);
    }
}
