//! Query results as JSON, byte for byte as Prometheus writes them: times in
//! seconds with up to three decimals, values as strings.

mod histogram;

use std::fmt::Write;

use varve_model::{Labels, Series};
use varve_promql::number::fixed;
use varve_promql::value::{InstantSample, Value};

use histogram::push_histogram;

/// Appends a JSON string.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (i, b) in text.bytes().enumerate() {
        // All that is escaped is ASCII.
        let escape = match b {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[from..i]);
        out.push_str(escape);
        if escape.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{b:04x}");
        }
        from = i + 1;
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// Appends a JSON array.
pub(crate) fn push_list<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        push(out, item);
    }
    out.push(']');
}

/// Appends a time in seconds.
pub(crate) fn push_time(out: &mut String, ms: i64) {
    if ms < 0 {
        out.push('-');
    }
    let ms = ms.unsigned_abs();
    out.push_str(itoa::Buffer::new().format(ms / 1000));
    if !ms.is_multiple_of(1000) {
        // Writing to a String cannot fail.
        let _ = write!(out, ".{:03}", ms % 1000);
    }
}

/// Appends a number as a string: Go's shortest form, with an exponent below
/// 1e-6 and from 1e21.
pub(crate) fn push_float(out: &mut String, v: f64) {
    if push_plain(out, v) {
        return;
    }
    let abs = v.abs();
    // Writing to a String cannot fail.
    let _ = match v {
        _ if v.is_nan() => write!(out, "\"NaN\""),
        f64::INFINITY => write!(out, "\"+Inf\""),
        f64::NEG_INFINITY => write!(out, "\"-Inf\""),
        _ if v != 0.0 && !(1e-6..1e21).contains(&abs) => {
            let text = format!("{v:e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(rest) => ('-', rest),
                None => ('+', exponent),
            };
            write!(out, "\"{digits}e{sign}{exponent:0>2}\"")
        }
        _ => write!(out, "\"{v}\""),
    };
}

/// The same for the numbers that are frequent, quickly; `false` for others. Of two
/// shortest forms that are as near it takes the even one, as Go does.
fn push_plain(out: &mut String, v: f64) -> bool {
    let whole = v as i64;
    let mut digits = itoa::Buffer::new();
    let mut shortest = zmij::Buffer::new();
    let text = if whole as f64 == v && whole.unsigned_abs() < 1 << 53 && whole != 0 {
        digits.format(whole)
    } else if (1e-5..1e16).contains(&v.abs()) {
        shortest.format_finite(v)
    } else {
        return false;
    };
    if text.contains('e') {
        return false;
    }
    out.push('"');
    out.push_str(text.strip_suffix(".0").unwrap_or(text));
    out.push('"');
    true
}

/// Appends labels as an object.
pub(crate) fn push_labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (i, (name, value)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        push_string(out, name);
        out.push(':');
        push_string(out, value);
    }
    out.push('}');
}

/// `[time,"value"]`
fn push_float_point(out: &mut String, ms: i64, v: f64) {
    out.push('[');
    push_time(out, ms);
    out.push(',');
    push_float(out, v);
    out.push(']');
}

fn push_histogram_point(out: &mut String, ms: i64, h: &varve_model::Histogram) {
    out.push('[');
    push_time(out, ms);
    out.push(',');
    push_histogram(out, h);
    out.push(']');
}

/// Appends a time in UTC as RFC 3339, to the millisecond.
pub(crate) fn push_utc(out: &mut String, ms: i64) {
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    let z = days + 719_468;
    let of_era = z.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + z.div_euclid(146_097) * 400 + i64::from(month <= 2);
    let (s, ms) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (s / 3600, s / 60 % 60, s % 60);
    // Writing to a String cannot fail.
    let _ = write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z");
}

/// Appends one sample of an instant vector.
pub(crate) fn push_sample(out: &mut String, sample: &InstantSample) {
    out.push_str("{\"metric\":");
    push_labels(out, &sample.labels);
    match &sample.value {
        Value::Float(v) => {
            out.push_str(",\"value\":");
            push_float_point(out, sample.time_ms, *v);
        }
        Value::Histogram(h) => {
            out.push_str(",\"histogram\":");
            push_histogram_point(out, sample.time_ms, h);
        }
    }
    out.push('}');
}

/// Appends a string with its time.
pub(crate) fn push_text(out: &mut String, ms: i64, text: &[u8]) {
    out.push('[');
    out.push_str(&fixed(ms as f64 / 1000.0));
    out.push(',');
    push_string(out, &String::from_utf8_lossy(text));
    out.push(']');
}

/// Scalars are written another way than samples: without an exponent, and the
/// time without zeros at its end.
pub(crate) fn push_scalar(out: &mut String, ms: i64, v: f64) {
    out.push('[');
    out.push_str(&fixed(ms as f64 / 1000.0));
    out.push(',');
    if v.is_finite() {
        out.push('"');
        out.push_str(&fixed(v));
        out.push('"');
    } else {
        push_float(out, v);
    }
    out.push(']');
}

/// Appends one series of a matrix.
pub(crate) fn push_series(out: &mut String, series: &Series) {
    out.push_str("{\"metric\":");
    push_labels(out, &series.labels);
    let floats = &series.floats;
    if !floats.is_empty() {
        out.push_str(",\"values\":");
        let points = floats.times.iter().zip(&floats.values);
        push_list(out, points, |out, (t, v)| push_float_point(out, *t, *v));
    }
    let histograms = &series.histograms;
    if !histograms.is_empty() {
        out.push_str(",\"histograms\":");
        let points = histograms.times.iter().zip(&histograms.values);
        push_list(out, points, |out, (t, h)| push_histogram_point(out, *t, h));
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_gos() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (1.5e-7, "1.5e-07"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.25e300, "-1.25e+300"),
            (5e-324, "5e-324"),
            (146_950_871_375_544.0 + 0.625, "146950871375544.62"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ];
        for (v, want) in cases {
            let mut out = String::new();
            push_float(&mut out, v);
            assert_eq!(out, format!("\"{want}\""));
        }
    }

    #[test]
    fn frequent_numbers_are_those_of_the_slow_way() {
        let check = |v: f64| {
            let mut out = String::new();
            if push_plain(&mut out, v) && out != format!("\"{v}\"") {
                // Rust takes the upper one of two that are as near.
                let digits = out.trim_matches('"');
                assert_eq!(digits.parse(), Ok(v), "{out}");
                assert!(digits.ends_with(['0', '2', '4', '6', '8']), "{out}");
                assert_eq!(digits.len(), format!("{v}").len(), "{out}");
            }
        };
        let mut bits = 0x9E37_79B9_7F4A_7C15_u64;
        for i in 0..200_000_u32 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            check(f64::from_bits(bits));
            check(f64::from(i) / 8.0 - 1000.0);
            check((bits >> 11) as f64 / f64::from(1 << (i % 31)));
            check(1.0 / f64::from(i));
            check((bits as i64 >> (i % 50)) as f64);
        }
        for exponent in -25..25 {
            for digit in [1.0, -1.0, 1.5, 9.999_999_999_999_999] {
                check(digit * 10f64.powi(exponent));
            }
        }
    }

    #[test]
    fn times_and_strings_are_prometheus() {
        for (ms, want) in [(0, "0"), (1000, "1"), (1001, "1.001"), (-1500, "-1.500"), (50, "0.050")]
        {
            let mut out = String::new();
            push_time(&mut out, ms);
            assert_eq!(out, want);
        }
        let mut out = String::new();
        push_string(&mut out, "a\"\\\n\u{1}é<&>");
        assert_eq!(out, "\"a\\\"\\\\\\n\\u0001é<&>\"");
        for (ms, want) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_214_400_250, "2026-11-20T22:40:00.250Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            let mut out = String::new();
            push_utc(&mut out, ms);
            assert_eq!(out, want);
        }
        for (ms, v, want) in [
            (500, 1e21, "[0.5,\"1000000000000000000000\"]"),
            (1_795_214_400_250, 1e-7, "[1795214400.25,\"0.0000001\"]"),
            (0, 146_950_871_375_544.0 + 0.625, "[0,\"146950871375544.62\"]"),
            (-1000, f64::NEG_INFINITY, "[-1,\"-Inf\"]"),
        ] {
            let mut out = String::new();
            push_scalar(&mut out, ms, v);
            assert_eq!(out, want);
        }
    }
}
