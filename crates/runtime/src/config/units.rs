//! Durations and sizes as people write them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A length of time written like Prometheus does: `90s`, `1h30m`, `15d`; 0 is `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HumanDuration(pub Duration);

/// A number of bytes: a plain number, or with `B`, `KB`, `MB`, `GB`, `TB`
/// (powers of 1000) or `KiB`, `MiB`, `GiB`, `TiB` (powers of 1024).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Units of time, longest first, in milliseconds.
const TIME_UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Units of size, longest first.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

impl HumanDuration {
    /// A duration of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// In milliseconds.
    pub fn as_ms(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

impl std::str::FromStr for HumanDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("{text:?} is not a duration such as 90s, 1h30m or 15d");
        if text == "0" {
            return Ok(Self::default());
        }
        let (mut rest, mut total, mut longest) = (text, 0u64, TIME_UNITS.len());
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at(letters);
            let at = TIME_UNITS.iter().position(|(u, _)| *u == unit).ok_or_else(fail)?;
            // Units come once each, longest first.
            if longest != TIME_UNITS.len() && at <= longest {
                return Err(fail());
            }
            let number: u64 = number.parse().map_err(|_| fail())?;
            let part = number.checked_mul(TIME_UNITS[at].1).ok_or_else(fail)?;
            total = total.checked_add(part).ok_or_else(fail)?;
            (rest, longest) = (tail, at);
        }
        if text.is_empty() { Err(fail()) } else { Ok(Self(Duration::from_millis(total))) }
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0");
        }
        for (unit, ms) in TIME_UNITS {
            if rest >= ms {
                write!(f, "{}{unit}", rest / ms)?;
                rest %= ms;
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || format!("{text:?} is not a size such as 1048576, 64MiB or 2GB");
        let (number, scale) = SIZE_UNITS
            .iter()
            .find_map(|(unit, scale)| text.strip_suffix(unit).map(|n| (n, *scale)))
            .unwrap_or((text, 1));
        let number: u64 = number.trim().parse().map_err(|_| fail())?;
        number.checked_mul(scale).map(Self).ok_or_else(fail)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, scale): &&(&str, u64)| self.0 >= *scale && self.0.is_multiple_of(*scale);
        match SIZE_UNITS.iter().filter(|(u, _)| u.ends_with("iB")).find(fits) {
            Some((unit, scale)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A YAML scalar: people write `10m` and `64MiB`, but also `0` and `1048576`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Number(u64),
    Text(String),
}

fn parse<'de, D: Deserializer<'de>, T: std::str::FromStr<Err = String>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let text = match Scalar::deserialize(deserializer)? {
        Scalar::Number(n) => n.to_string(),
        Scalar::Text(t) => t,
    };
    text.parse().map_err(de::Error::custom)
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse(deserializer)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse(deserializer)
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ms) in [("0", 0), ("90s", 90_000), ("1h30m", 5_400_000), ("15d", 1_296_000_000)]
        {
            assert_eq!(text.parse::<HumanDuration>().map(HumanDuration::as_ms), Ok(ms), "{text}");
        }
        assert_eq!("90s".parse::<HumanDuration>().map(|d| d.to_string()), Ok("1m30s".into()));
        for text in ["", "5", "m", "5x", "1m1h", "1m1m", "-1s", "99999999999999y"] {
            assert!(text.parse::<HumanDuration>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("0", 0), ("100", 100), ("64MiB", 64 << 20), ("2GB", 2_000_000_000)] {
            assert_eq!(text.parse::<ByteSize>().map(|s| s.0), Ok(bytes), "{text}");
        }
        assert_eq!(ByteSize(64 << 20).to_string(), "64MiB");
        for text in ["", "x", "1.5GB", "-1", "99999999999TiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text:?} was taken");
        }
    }
}
