//! Moments and stretches of time.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::functions::Part;

/// A part of a moment in a time zone.
pub(crate) fn part(part: Part, moment: Timestamp, zone: &TimeZone) -> i64 {
    let local = zone.to_datetime(moment);
    match part {
        Part::Year => local.year().into(),
        Part::Month => i64::from(local.month()) - 1,
        Part::Date => local.day().into(),
        Part::DayOfMonth => i64::from(local.day()) - 1,
        Part::DayOfWeek => local.weekday().to_sunday_zero_offset().into(),
        Part::DayOfYear => i64::from(local.day_of_year()) - 1,
        Part::Hours => local.hour().into(),
        Part::Minutes => local.minute().into(),
        Part::Seconds => local.second().into(),
        Part::Milliseconds => local.millisecond().into(),
    }
}

/// How many whole hours, minutes and so on a stretch of time has; of milliseconds, those beyond its
/// seconds.
pub(crate) fn part_of_duration(part: Part, time: SignedDuration) -> Option<i64> {
    match part {
        Part::Hours => Some(time.as_hours()),
        Part::Minutes => Some(time.as_mins()),
        Part::Seconds => Some(time.as_secs()),
        Part::Milliseconds => Some(time.subsec_millis().into()),
        _ => None,
    }
}

/// A stretch of time as it is written: `1h30m`, `-1.5s`, `10ms`.
pub(crate) fn duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    let mut nanos: i128 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let unit: i128 = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" | "µs" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        nanos = nanos.checked_add(scaled(number, unit)?)?;
        rest = next;
    }
    let nanos = if negative { -nanos } else { nanos };
    let seconds = i64::try_from(nanos / 1_000_000_000).ok()?;
    Some(SignedDuration::new(seconds, (nanos % 1_000_000_000) as i32))
}

/// A number with or without a point, times a unit.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() > 18 || fraction.len() > 18 || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    if fraction.contains('.') {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i128>().ok() };
    let part = digits(fraction)? * unit / 10i128.pow(u32::try_from(fraction.len()).ok()?);
    Some(digits(whole)?.checked_mul(unit)? + part)
}

/// A stretch of time in seconds: `5400s`, `1.5s`.
pub(crate) fn shown(time: SignedDuration) -> String {
    let nanos = time.subsec_nanos().unsigned_abs();
    let sign = if time.is_negative() { "-" } else { "" };
    let seconds = time.as_secs().unsigned_abs();
    if nanos == 0 {
        return format!("{sign}{seconds}s");
    }
    let fraction = format!("{nanos:09}");
    format!("{sign}{seconds}.{}s", fraction.trim_end_matches('0'))
}
