//! Numbers as Go prints them: annotations, `count_values` and label values
//! carry them, so their form is part of the answer.

use std::ops::Range;

/// Go's `%g`: the shortest digits that give the number back, with an exponent
/// below 1e-4 and from 1e6 on.
pub(crate) fn general(v: f64) -> String {
    if let Some(text) = special(v) {
        return text.to_owned();
    }
    layout(&shortest(v), -4..6)
}

/// Go's `%.<digits>g`.
pub(crate) fn general_digits(v: f64, digits: usize) -> String {
    if let Some(text) = special(v) {
        return text.to_owned();
    }
    let text = format!("{v:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    let text = format!("{mantissa}e{exponent}");
    let all = mantissa.bytes().filter(u8::is_ascii_digit).count() as i32;
    let whole = exponent.parse::<i32>().map_or(0, |e| e + 1);
    let limit = digits as i32;
    layout(&text, -4..if limit > all && all >= whole { all } else { limit })
}

/// Go's `FormatFloat(v, 'f', -1, 64)`: the shortest digits, never an exponent.
pub fn fixed(v: f64) -> String {
    match special(v) {
        Some(text) => text.to_owned(),
        None => layout(&shortest(v), i32::MIN..i32::MAX),
    }
}

/// A number as OpenMetrics writes quantiles and bounds: whole numbers with `.0`.
pub(crate) fn open_metrics(v: f64) -> String {
    let v = if v == 0.0 { 0.0 } else { v };
    let text = general(v);
    match text.contains(['.', 'e', 'N', 'I']) {
        true => text,
        false => text + ".0",
    }
}

/// `2006-01-02T15:04:05Z` of a time in milliseconds, cut to whole seconds as
/// Go's integer division does.
pub(crate) fn rfc3339(time_ms: i64) -> String {
    let t = crate::eval::date::Civil::from_unix(time_ms / 1000);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        t.year, t.month, t.day, t.hour, t.minute, t.second
    )
}

fn special(v: f64) -> Option<&'static str> {
    if v.is_nan() {
        Some("NaN")
    } else if v == f64::INFINITY {
        Some("+Inf")
    } else if v == f64::NEG_INFINITY {
        Some("-Inf")
    } else {
        None
    }
}

/// The shortest digits that give the number back, as `d.ddde±x`. Of two that are
/// as near the even one, as Go does (Rust's own form has the upper one).
fn shortest(v: f64) -> String {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(v.abs());
    let (plain, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, part) = plain.split_once('.').unwrap_or((plain, ""));
    let all = format!("{whole}{part}");
    let digits = all.trim_start_matches('0');
    let exponent: i32 = match digits {
        "" => 0,
        _ => {
            exponent.parse::<i32>().unwrap_or(0) + whole.len() as i32
                - 1
                - (all.len() - digits.len()) as i32
        }
    };
    let sign = if v.is_sign_negative() { "-" } else { "" };
    match digits.trim_end_matches('0').split_at_checked(1) {
        None => format!("{sign}0e0"),
        Some((first, "")) => format!("{sign}{first}e{exponent}"),
        Some((first, rest)) => format!("{sign}{first}.{rest}e{exponent}"),
    }
}

/// Lays out `d.ddde±x` as Go's `%e`, or as its `%f` where the exponent is one of
/// those.
fn layout(scientific: &str, plain: Range<i32>) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !plain.contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest.replace('.', "")),
        None => ("", mantissa.replace('.', "")),
    };
    let point = exponent + 1;
    if point <= 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize));
    }
    let point = point as usize;
    if digits.len() <= point {
        return format!("{sign}{digits}{}", "0".repeat(point - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..point], &digits[point..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let general_cases = [
            (1.0, "1", "1"),
            (100_000.0, "100000", "1e+05"),
            (1e6, "1e+06", "1e+06"),
            (1_234_567.0, "1.234567e+06", "1.2e+06"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "1e-05"),
            (-5.0, "-5", "-5"),
            (2.5, "2.5", "2.5"),
            (f64::NAN, "NaN", "NaN"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ];
        for (v, shortest, two) in general_cases {
            assert_eq!((general(v).as_str(), general_digits(v, 2).as_str()), (shortest, two));
        }
        // Exactly between two of 17 digits; what Go says.
        assert_eq!(fixed(146_950_871_375_544.0 + 0.625), "146950871375544.62");
        assert_eq!(general(146_950_871_375_544.0 + 0.625), "1.4695087137554462e+14");
        for v in [0.0, -0.0, 5e-324, f64::MAX, 0.1, -123.456, 1e-7, 1e15, 1e16, 1e17, 1.5e300] {
            assert_eq!(fixed(v), format!("{v}"));
            assert_eq!(shortest(v), format!("{v:e}"));
        }
        assert_eq!(fixed(1e21), "1000000000000000000000");
        assert_eq!(fixed(0.000_000_1), "0.0000001");
        assert_eq!(rfc3339(1_700_000_000_999), "2023-11-14T22:13:20Z");
    }
}
