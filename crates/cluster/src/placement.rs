//! Placement by rendezvous hashing: every caller orders the candidates for a
//! key alike, and a candidate that goes moves only its own keys.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The candidates in order of preference for `key`.
pub fn rendezvous<'a, C: AsRef<[u8]>>(key: &[u8], candidates: &'a [C]) -> Vec<&'a C> {
    let seed = xxh3_64_with_seed(key, 0);
    let mut scored: Vec<_> =
        candidates.iter().map(|c| (xxh3_64_with_seed(c.as_ref(), seed), c)).collect();
    scored.sort_by_key(|(score, c)| (std::cmp::Reverse(*score), c.as_ref().to_vec()));
    scored.into_iter().map(|(_, c)| c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_that_goes_moves_only_its_own_keys() {
        let all = ["a", "b", "c", "d"];
        let keys: Vec<[u8; 4]> = (0u32..4000).map(u32::to_le_bytes).collect();
        let mut shares = [0usize; 4];
        for key in &keys {
            let first = rendezvous(key, &all)[0];
            shares[all.iter().position(|c| c == first).expect("is one of them")] += 1;
            let fewer: Vec<&str> = all.iter().copied().filter(|c| *c != "d").collect();
            if *first != "d" {
                assert_eq!(rendezvous(key, &fewer)[0], first);
            }
        }
        assert!(shares.iter().all(|s| (800..1200).contains(s)), "uneven: {shares:?}");
    }
}
