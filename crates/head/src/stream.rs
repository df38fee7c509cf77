//! Float samples of an open buffer, coded as they come.
//!
//! A scrape every 15 s leaves 40 samples between two seals; as two columns
//! they would take 640 bytes, here a counter takes about 130 and a constant
//! 80. Each sample is a control byte and up to three parts:
//!
//! | bits | what | values |
//! |---|---|---|
//! | 0–1 | time, against the step before | 0 same step, 1 and 2 change of step in so many bytes, 3 step in 8 |
//! | 2 | start timestamp | 0 as before, 1 follows in 8 bytes |
//! | 3–6 | value, against the one before | 0 same bits, 1–8 so many low bytes of the XOR, 9–14 so many − 8 bytes of the difference of two whole numbers |
//!
//! Nothing of it leaves the process: a chunk is coded anew from the columns.

use varve_model::FloatSamples;

/// Whole numbers beyond this are not differenced.
const MAX_WHOLE: i64 = 1 << 52;
/// A full stream grows by at least this many bytes,
const GROW_BYTES: usize = 32;

/// Float samples in order of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    bytes: Vec<u8>,
    count: u32,
    /// Time of the first sample.
    first: i64,
    state: State,
}

/// What the next sample is told against.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    time: i64,
    step: i64,
    value: u64,
    start: i64,
}

impl Stream {
    /// The columns as a stream; their times rise.
    pub(crate) fn from_columns(samples: &FloatSamples) -> Self {
        let mut out = Self::default();
        for (i, (time, value)) in samples.times.iter().zip(&samples.values).enumerate() {
            out.push(*time, *value, samples.start(i));
        }
        out
    }

    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    /// First and last time; `None` when empty.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        (self.count > 0).then_some((self.first, self.state.time))
    }

    /// Adds a sample later than all before.
    pub(crate) fn push(&mut self, time: i64, value: f64, start: i64) {
        if self.count == 0 {
            (self.first, self.state.time) = (time, time);
        }
        let mut out = [0u8; 25];
        let mut len = 1;
        let mut put = |bytes: &[u8]| {
            out[len..len + bytes.len()].copy_from_slice(bytes);
            len += bytes.len();
        };
        let step = time.wrapping_sub(self.state.time);
        let change = step.wrapping_sub(self.state.step);
        let mut control = match change {
            0 => 0,
            -128..=127 => {
                put(&change.to_le_bytes()[..1]);
                1
            }
            -32_768..=32_767 => {
                put(&change.to_le_bytes()[..2]);
                2
            }
            _ => {
                put(&step.to_le_bytes());
                3
            }
        };
        if start != self.state.start {
            put(&start.to_le_bytes());
            control |= 1 << 2;
        }
        let bits = value.to_bits();
        let (code, bytes, n) = value_code(self.state.value, bits);
        put(&bytes[..n]);
        out[0] = control | code << 3;
        let (bytes, grow) = (&out[..len], GROW_BYTES.max(self.bytes.len() / 4));
        if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            self.bytes.reserve_exact(grow);
        }
        self.bytes.extend_from_slice(bytes);
        self.state = State { time, step, value: bits, start };
        self.count += 1;
    }

    /// The samples one by one: time, value, start timestamp.
    pub(crate) fn iter(&self) -> Iter<'_> {
        let state = State { time: self.first, ..State::default() };
        Iter { bytes: &self.bytes, left: self.count, state }
    }

    /// The samples as columns.
    pub(crate) fn columns(&self) -> FloatSamples {
        let n = self.len();
        let mut out = FloatSamples {
            times: Vec::with_capacity(n),
            values: Vec::with_capacity(n),
            starts: Vec::new(),
        };
        for (time, value, start) in self.iter() {
            out.push(time, value, start);
        }
        out
    }

    /// The value at a time.
    pub(crate) fn get(&self, time: i64) -> Option<f64> {
        let (first, last) = self.span()?;
        if time < first || last < time {
            return None;
        }
        if time == last {
            return Some(f64::from_bits(self.state.value));
        }
        let (_, value, _) = self.iter().take_while(|(t, ..)| *t <= time).find(|s| s.0 == time)?;
        Some(value)
    }

    /// Bytes of memory behind the stream, itself not included.
    pub(crate) fn memory(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Code of a value, and the bytes that follow.
fn value_code(before: u64, bits: u64) -> (u8, [u8; 8], usize) {
    if before == bits {
        return (0, [0; 8], 0);
    }
    let xor = before ^ bits;
    let xor_len = 8 - xor.leading_zeros() as usize / 8;
    if let (Some(a), Some(b)) = (whole(before), whole(bits)) {
        let difference = b - a;
        // Bytes that hold the sign too.
        let used = 65 - difference.unsigned_abs().leading_zeros() as usize;
        let len = used.div_ceil(8).min(8);
        if len <= 6 && len < xor_len {
            return (8 + len as u8, difference.to_le_bytes(), len);
        }
    }
    (xor_len as u8, xor.to_le_bytes(), xor_len)
}

/// The whole number that the bits are, bit by bit.
fn whole(bits: u64) -> Option<i64> {
    let value = f64::from_bits(bits);
    let whole = value as i64;
    let same = (whole as f64).to_bits() == bits && (-MAX_WHOLE..=MAX_WHOLE).contains(&whole);
    same.then_some(whole)
}

/// The samples of a [`Stream`].
pub(crate) struct Iter<'a> {
    bytes: &'a [u8],
    left: u32,
    state: State,
}

impl Iter<'_> {
    /// The next `n` bytes, as a signed number.
    fn take(&mut self, n: usize) -> i64 {
        let mut eight = [0; 8];
        let (taken, rest) = self.bytes.split_at(n.min(self.bytes.len()));
        eight[..taken.len()].copy_from_slice(taken);
        self.bytes = rest;
        let unused = 64 - 8 * n as u32;
        i64::from_le_bytes(eight).wrapping_shl(unused).wrapping_shr(unused)
    }
}

impl Iterator for Iter<'_> {
    type Item = (i64, f64, i64);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (&control, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        self.state.step = match control & 3 {
            0 => self.state.step,
            3 => self.take(8),
            n => self.state.step.wrapping_add(self.take(usize::from(n))),
        };
        self.state.time = self.state.time.wrapping_add(self.state.step);
        if control & 4 != 0 {
            self.state.start = self.take(8);
        }
        self.state.value = match usize::from(control >> 3) {
            0 => self.state.value,
            n @ 1..=8 => {
                let low = self.take(n) as u64;
                self.state.value ^ (low & (u64::MAX >> (64 - 8 * n as u32)))
            }
            n => {
                let before = f64::from_bits(self.state.value) as i64;
                (before.wrapping_add(self.take(n - 8)) as f64).to_bits()
            }
        };
        Some((self.state.time, f64::from_bits(self.state.value), self.state.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(samples: &[(i64, f64, i64)]) -> Stream {
        let mut stream = Stream::default();
        for (time, value, start) in samples {
            stream.push(*time, *value, *start);
        }
        let bits = |(t, v, s): (i64, f64, i64)| (t, v.to_bits(), s);
        let back: Vec<_> = stream.iter().map(bits).collect();
        assert_eq!(back, samples.iter().copied().map(bits).collect::<Vec<_>>());
        assert_eq!(Stream::from_columns(&stream.columns()).bytes, stream.bytes);
        for (time, value, _) in samples {
            assert_eq!(stream.get(*time).map(f64::to_bits), Some(value.to_bits()));
            assert_eq!(stream.get(*time + 1).is_some(), samples.iter().any(|s| s.0 == time + 1));
        }
        stream
    }

    #[test]
    fn every_kind_of_value_and_step() {
        let values = [
            0.0,
            -0.0,
            1.0,
            -1.0,
            127.0,
            255.0,
            -32_768.0,
            1e15,
            4_503_599_627_370_497.0,
            9.1e18,
            -9.3e18,
            1e300,
            f64::NAN,
            varve_model::stale_nan(),
            f64::INFINITY,
            f64::MIN_POSITIVE,
            0.1,
            0.2,
            0.30000000000000004,
        ];
        let steps = [1, 15_000, 15_000, 15_127, 14_999, 60_000, 1 << 40, 3];
        let mut time = -5;
        let mut samples = Vec::new();
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate() {
                for value in [a, b] {
                    time += steps[(i + j) % steps.len()] + 1;
                    samples.push((time, *value, if j % 3 == 0 { time - 9 } else { 0 }));
                }
            }
        }
        check(&samples);
    }

    #[test]
    fn what_scrapes_bring_is_small() {
        let regular = |value: fn(i64) -> f64| -> usize {
            let samples: Vec<_> = (0..40)
                .map(|i| (1_700_000_000_000 + 15_000 * i + i * 7 % 10, value(i), 0))
                .collect();
            check(&samples).bytes.len()
        };
        assert!(regular(|_| 1.0) <= 2 * 40 + 10);
        assert!(regular(|i| (100 + 17 * i) as f64) <= 3 * 40 + 10);
        assert!(regular(|i| 0.1 + i as f64 / 7.0) <= 10 * 40);
    }

    proptest! {
        #[test]
        fn round_trip(samples in proptest::collection::vec((1i64..1 << 45, any::<u64>(), 0i64..3), 0..40)) {
            let mut time = i64::MIN / 2;
            let samples: Vec<_> = samples
                .into_iter()
                .map(|(step, bits, start)| {
                    time += step;
                    (time, f64::from_bits(bits), start)
                })
                .collect();
            check(&samples);
        }
    }
}
