//! Numbers and durations as Go reads them: `strconv.ParseInt` with base 0,
//! then `strconv.ParseFloat`; and Prometheus' durations (`1h30m`).

use super::quote::quote;

/// Milliseconds of each unit, biggest first, as they must stand in a duration.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// The longest duration that Go's nanoseconds in 64 bits hold, in milliseconds.
const MAX_DURATION_MS: u64 = i64::MAX as u64 / 1_000_000;

/// Reads a Prometheus duration (`1h30m`, `0`) into milliseconds.
///
/// # Errors
/// Prometheus' text of what is wrong.
pub(crate) fn duration_ms(text: &str) -> Result<i64, String> {
    match text {
        "0" => return Ok(0),
        "" => return Err("empty duration string".to_owned()),
        _ => {}
    }
    let invalid = || format!("not a valid duration string: {}", quote(text));
    let (mut rest, mut total, mut next_unit) = (text, 0_u64, 0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let value: u64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let unit = rest.bytes().take_while(|b| !b.is_ascii_digit()).count();
        if unit == 0 {
            return Err(invalid());
        }
        let name = &rest[..unit];
        rest = &rest[unit..];
        let Some(at) = UNITS.iter().position(|(n, _)| *n == name) else {
            return Err(format!("unknown unit {} in duration {}", quote(name), quote(text)));
        };
        if at < next_unit {
            return Err(invalid());
        }
        next_unit = at + 1;
        total = value
            .checked_mul(UNITS[at].1)
            .and_then(|ms| ms.checked_add(total))
            .filter(|ms| *ms <= MAX_DURATION_MS)
            .ok_or("duration out of range")?;
    }
    Ok(total as i64)
}

/// Prints milliseconds as Prometheus prints a duration: `90d`, `1h30m`, `0s`.
pub(crate) fn format_duration_ms(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::from(if ms < 0 { "-" } else { "" });
    let mut rest = ms.unsigned_abs();
    for (unit, size) in UNITS {
        // Years and weeks only where nothing remains: 90d is easier to read than 12w6d.
        let exact_only = matches!(unit, "y" | "w");
        if (exact_only && !rest.is_multiple_of(size)) || rest < size {
            continue;
        }
        out.push_str(&(rest / size).to_string());
        out.push_str(unit);
        rest %= size;
    }
    out
}

/// Reads a number literal. `Err` is the text of Go's error.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    if let Some(n) = go_int(text) {
        return Ok(n as f64);
    }
    let fail = |why: &str| {
        Err(format!("error parsing number: strconv.ParseFloat: parsing {}: {why}", quote(text)))
    };
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "inf" => return Ok(f64::INFINITY),
        "nan" => return Ok(f64::NAN),
        _ => {}
    }
    let decimal = lower.bytes().all(|b| b.is_ascii_digit() || b"._e+-".contains(&b));
    if !decimal || !underscores_separate_digits(&lower) {
        return fail("invalid syntax");
    }
    match lower.replace('_', "").parse::<f64>() {
        Ok(v) if v.is_infinite() => fail("value out of range"),
        Ok(v) => Ok(v),
        Err(_) => fail("invalid syntax"),
    }
}

/// Go's `strconv.ParseInt(text, 0, 64)` of text without a sign.
fn go_int(text: &str) -> Option<i64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (&text[2..], 16),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    if digits.contains('_') && !underscores_separate_digits(text) {
        return None;
    }
    let digits = digits.replace('_', "");
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(&digits, radix).ok()
}

/// Underscores stand between digits, or between a base prefix and a digit.
fn underscores_separate_digits(text: &str) -> bool {
    let text = text.as_bytes();
    let (hex, body) = match text {
        [b'0', b'x' | b'X', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let digit = |b: u8| b.is_ascii_digit() || (hex && b.is_ascii_hexdigit());
    let mut before = hex;
    for (i, b) in body.iter().enumerate() {
        if *b == b'_' && !(before && body.get(i + 1).is_some_and(|b| digit(*b))) {
            return false;
        }
        before = digit(*b);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_in_go() {
        let ok = [
            ("1", 1.0),
            ("0755", 493.0),
            ("08", 8.0),
            ("0x1F", 31.0),
            ("0x_ff", 255.0),
            ("1_000", 1000.0),
            ("0_7", 7.0),
            ("1_0.5", 10.5),
            ("1e1_0", 1e10),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e-3", 1e-3),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("iNf", f64::INFINITY),
        ];
        for (text, want) in ok {
            assert_eq!(number(text), Ok(want), "{text}");
        }
        assert!(number("NaN").is_ok_and(f64::is_nan));
        for text in ["1e400", "0xfffffffffffffffff", "1e", "."] {
            assert!(number(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_read_and_printed() {
        for text in ["5m", "1h30m", "90d", "1y", "2w", "1d1h1m1s1ms", "0s"] {
            assert_eq!(duration_ms(text).map(format_duration_ms), Ok(text.to_owned()));
        }
        assert_eq!(format_duration_ms(-90_000), "-1m30s");
        assert_eq!(duration_ms("0"), Ok(0));
        let bad = [
            ("", "empty duration string"),
            ("5", "not a valid duration string: \"5\""),
            ("1m1h", "not a valid duration string: \"1m1h\""),
            ("1m1m", "not a valid duration string: \"1m1m\""),
            ("5x", "unknown unit \"x\" in duration \"5x\""),
            ("300y", "duration out of range"),
            ("99999999999999999999s", "not a valid duration string: \"99999999999999999999s\""),
        ];
        for (text, want) in bad {
            assert_eq!(duration_ms(text), Err(want.to_owned()), "{text}");
        }
    }
}
