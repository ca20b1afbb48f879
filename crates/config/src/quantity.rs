//! Durations, sizes and shares as written: `10s`, `500ms`, `8KiB`, `20%`. One place reads them for every field, so
//! that all accept the same units and all say the same when they do not.

use std::time::Duration;

/// The longest duration that is accepted: ten years. Longer ones are surely mistakes, and adding
/// one to a clock must not overflow.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Why a quantity was refused. The text names what is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a number followed by a unit of time.
    #[error("expected a duration such as `10s`, `500ms`, `1m30s` or `2h` (units: ms, s, m, h, d)")]
    Duration,
    /// Longer than ten years.
    #[error("expected a duration of at most ten years")]
    TooLong,
    /// Not a number followed by a unit of size.
    #[error(
        "expected a size such as `8KiB`, `1MiB` or a whole number of bytes (units: B, KB, KiB, MB, MiB, GB, GiB)"
    )]
    Size,
    /// Not a number followed by `%`, or above 100.
    #[error("expected a share such as `20%`, at most `100%`")]
    Share,
}

/// Reads `10s`, `1m30s`, `500ms`, `1.5h`. A bare `0` needs no unit; every other number does.
///
/// # Errors
/// [`QuantityError::Duration`] for any other text, [`QuantityError::TooLong`] above ten years.
pub fn duration(text: &str) -> Result<Duration, QuantityError> {
    let mut rest = text.trim();
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(QuantityError::Duration);
    }
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let (number, after) = split_number(rest).ok_or(QuantityError::Duration)?;
        let unit_end = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let millis = match unit {
            "ms" => 1.0,
            "s" => 1_000.0,
            "m" | "min" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return Err(QuantityError::Duration),
        };
        total += number * millis;
        rest = after;
    }
    let found = Duration::try_from_secs_f64((total / 1_000.0 * 1e6).round() / 1e6)
        .map_err(|_| QuantityError::TooLong)?;
    if found > LONGEST { Err(QuantityError::TooLong) } else { Ok(found) }
}

/// Reads `8KiB`, `1MiB`, `100B` or a bare number of bytes. `KB` is 1000 bytes, `KiB` is 1024.
///
/// # Errors
/// [`QuantityError::Size`] for any other text.
pub fn size(text: &str) -> Result<u64, QuantityError> {
    let (number, unit) = split_number(text.trim()).ok_or(QuantityError::Size)?;
    let unit = match unit.trim_start() {
        "" | "B" => 1.0,
        "KB" | "kB" => 1e3,
        "KiB" => 1024.0,
        "MB" => 1e6,
        "MiB" => 1024.0 * 1024.0,
        "GB" => 1e9,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        _ => return Err(QuantityError::Size),
    };
    let bytes = number * unit;
    // 2^53: above it an f64 no longer counts single bytes.
    if bytes.fract() != 0.0 || bytes > 9_007_199_254_740_992.0 {
        return Err(QuantityError::Size);
    }
    // The checks above keep this exact.
    Ok(bytes as u64)
}

/// Reads `20%` or `0.5%` as 0.2 or 0.005. The unit is needed: whether `1` is all or a hundredth
/// would be a guess.
///
/// # Errors
/// [`QuantityError::Share`] for any other text, and above `100%`.
pub fn share(text: &str) -> Result<f64, QuantityError> {
    match split_number(text.trim()) {
        Some((number, unit)) if unit.trim_start() == "%" && number <= 100.0 => Ok(number / 100.0),
        _ => Err(QuantityError::Share),
    }
}

/// Reads `2030-01-31` (midnight in UTC) or `2030-01-31T12:00:00Z`: seconds since 1970.
pub fn time(text: &str) -> Option<u64> {
    let text = text.trim();
    let midnight = format!("{text}T00:00:00Z");
    let whole = if text.len() == "2030-01-31".len() { &midnight } else { text };
    let seconds = whole.parse::<jiff::Timestamp>().ok()?.as_second();
    u64::try_from(seconds).ok()
}

/// The other way round, as `2030-01-31T12:00:00Z`. None for what no calendar has.
#[must_use]
pub fn show_time(seconds: u64) -> Option<String> {
    let seconds = i64::try_from(seconds).ok()?;
    Some(jiff::Timestamp::from_second(seconds).ok()?.to_string())
}

/// Splits a leading decimal number (digits, perhaps `.digits`) from what follows it.
fn split_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    if !number.starts_with(|c: char| c.is_ascii_digit()) || number.ends_with('.') {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["", "10", "s", "10 s", "-1s", "1x", "1..2s", "1.s", "10S", "∞s"] {
            assert_eq!(duration(bad), Err(QuantityError::Duration), "{bad}");
        }
        assert_eq!(duration("100000000000000000000h"), Err(QuantityError::TooLong));
    }

    #[test]
    fn sizes() {
        assert_eq!(size("8KiB"), Ok(8192));
        assert_eq!(size("1 MiB"), Ok(1_048_576));
        assert_eq!(size("100B"), Ok(100));
        assert_eq!(size("100"), Ok(100));
        assert_eq!(size("1.5KB"), Ok(1500));
        for bad in ["", "KiB", "1.5", "-1", "8kib", "8 K", "99999999999GiB", "1e3"] {
            assert_eq!(size(bad), Err(QuantityError::Size), "{bad}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(time("1970-01-02"), Some(86_400));
        assert_eq!(time("1970-01-01T00:01:00Z"), Some(60));
        assert_eq!(time("1970-01-01T01:01:00+01:00"), Some(60));
        for bad in ["", "1970", "1970-13-01", "1969-12-31", "1970-01-01T00:00", "soon"] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn shares() {
        assert_eq!(share("20%"), Ok(0.2));
        assert_eq!(share("0.5 %"), Ok(0.005));
        assert_eq!(share("100%"), Ok(1.0));
        assert_eq!(share("0%"), Ok(0.0));
        for bad in ["", "20", "%", "-1%", "100.1%", "0.2", "20%%"] {
            assert_eq!(share(bad), Err(QuantityError::Share), "{bad}");
        }
    }
}
