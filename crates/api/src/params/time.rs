//! Times and durations of parameters: seconds as a number, RFC 3339, or a
//! Prometheus duration.

use varve_promql::parse::{parse_duration, quote};

/// How Prometheus writes the earliest and the latest time it knows.
const MIN_TIME: (&str, i64) =
    ("-292273086-05-16T16:47:06Z", (i64::MIN / 1000 + 62_135_596_801) * 1000);
const MAX_TIME: (&str, i64) =
    ("292277025-08-18T07:12:54.999999999Z", (i64::MAX / 1000 - 62_135_596_801) * 1000 + 999);

/// Reads a time into milliseconds since the epoch.
pub(crate) fn parse_time(text: &str) -> Result<i64, String> {
    if let Some(seconds) = float(text) {
        let ms = (seconds * 1000.0).round();
        if ms.is_finite() && ms.abs() < 9e18 {
            // Whole and fraction apart, so that large times lose nothing.
            let fraction = (seconds.fract() * 1000.0).round() as i64;
            return Ok((seconds.trunc() as i64).saturating_mul(1000).saturating_add(fraction));
        }
    }
    for (shown, ms) in [MIN_TIME, MAX_TIME] {
        if text == shown {
            return Ok(ms);
        }
    }
    rfc3339(text).ok_or_else(|| format!("cannot parse {} to a valid timestamp", quote(text)))
}

/// Reads a duration, seconds or with units, into nanoseconds.
pub(crate) fn parse_duration_ns(text: &str) -> Result<i64, String> {
    if let Some(seconds) = float(text) {
        if seconds.is_nan() {
            // What Go makes of it.
            return Ok(i64::MIN);
        }
        let ns = seconds * 1e9;
        if ns.abs() > i64::MAX as f64 {
            let text = quote(text);
            return Err(format!("cannot parse {text} to a valid duration. It overflows int64"));
        }
        return Ok(ns as i64);
    }
    parse_duration(text)
        .and_then(|ms| ms.checked_mul(1_000_000))
        .ok_or_else(|| format!("cannot parse {} to a valid duration", quote(text)))
}

fn float(text: &str) -> Option<f64> {
    text.parse().ok()
}

/// `2006-01-02T15:04:05.999Z`, or with an offset `+07:00`; the fraction is cut
/// to milliseconds.
fn rfc3339(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let number = |range: std::ops::Range<usize>| {
        let digits = bytes.get(range)?;
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| digits.iter().fold(0_i64, |n, d| n * 10 + i64::from(d - b'0')))
    };
    let is = |at: usize, c: u8| bytes.get(at) == Some(&c);
    let shape = is(4, b'-') && is(7, b'-') && is(10, b'T') && is(13, b':') && is(16, b':');
    if !shape {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let mut at = 19;
    let mut ms = 0;
    if is(at, b'.') || is(at, b',') {
        let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        for i in 0..3 {
            let digit = if i < digits { i64::from(bytes[at + 1 + i] - b'0') } else { 0 };
            ms = ms * 10 + digit;
        }
        at += 1 + digits;
    }
    let offset = match bytes.get(at)? {
        b'Z' if bytes.len() == at + 1 => 0,
        sign @ (b'+' | b'-') if bytes.len() == at + 6 && is(at + 3, b':') => {
            let (hours, minutes) = (number(at + 1..at + 3)?, number(at + 4..at + 6)?);
            if hours > 24 || minutes > 59 {
                return None;
            }
            let seconds = (hours * 60 + minutes) * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    if !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days_in_month = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=days_in_month).contains(&day) {
        return None;
    }
    let seconds = days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    Some(seconds * 1000 + ms)
}

/// Days since the epoch of a date of the Gregorian calendar.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let cases = [
            ("0", 0),
            ("1.5", 1500),
            ("-1.5", -1500),
            ("1e9", 1_000_000_000_000),
            ("1603775019.123", 1_603_775_019_123),
            ("1970-01-01T00:00:01Z", 1000),
            ("2015-06-03T13:21:58.555Z", 1_433_337_718_555),
            ("2015-06-03T14:21:58.5559+01:00", 1_433_337_718_555),
            ("2000-02-29T00:00:00-00:30", 951_784_200_000),
            ("-292273086-05-16T16:47:06Z", MIN_TIME.1),
            ("292277025-08-18T07:12:54.999999999Z", MAX_TIME.1),
        ];
        for (text, want) in cases {
            assert_eq!(parse_time(text), Ok(want), "{text}");
        }
        let bad = [
            "",
            "now",
            "inf",
            "nan",
            "2015-02-29T00:00:00Z",
            "2015-06-03",
            "2015-06-03T25:00:00Z",
            "2015-06-03T13:21:58",
        ];
        for text in bad {
            let want = format!("cannot parse \"{text}\" to a valid timestamp");
            assert_eq!(parse_time(text), Err(want));
        }
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(parse_duration_ns("1.5"), Ok(1_500_000_000));
        assert_eq!(parse_duration_ns("5m"), Ok(300_000_000_000));
        assert_eq!(parse_duration_ns("-1"), Ok(-1_000_000_000));
        let overflow = "cannot parse \"1e30\" to a valid duration. It overflows int64".to_owned();
        assert_eq!(parse_duration_ns("1e30"), Err(overflow));
        let bad = "cannot parse \"5x\" to a valid duration".to_owned();
        assert_eq!(parse_duration_ns("5x"), Err(bad));
    }
}
