//! Randomness of the machine, for keys and names that nobody may guess, and
//! for turns that processes are to take differently. In a simulation (see
//! `Steps`) it follows from the seed.

/// Fresh random bytes from the operating system's generator.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[cfg(feature = "failpoints")]
    if crate::steps::fill(&mut bytes) {
        return bytes;
    }
    rand::fill(&mut bytes);
    bytes
}

/// A number of 0 to 1, without 1; each of its 2^53 values is as likely.
pub fn random_share() -> f64 {
    (u64::from_le_bytes(random_bytes()) >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_lie_between_nothing_and_all() {
        let shares: Vec<f64> = (0..1000).map(|_| random_share()).collect();
        assert!(shares.iter().all(|share| (0.0..1.0).contains(share)), "{shares:?}");
        let mean = shares.iter().sum::<f64>() / 1000.0;
        assert!((0.4..0.6).contains(&mean), "mean {mean}");
    }
}
