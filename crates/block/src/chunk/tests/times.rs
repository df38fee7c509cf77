//! Times and start timestamps.

use super::*;

proptest! {
    #[test]
    fn times_round_trip(times in integers()) {
        check_times(&times);
    }

    #[test]
    fn starts_round_trip(times in integers(), seed in integers(), relative in 0usize..4) {
        let starts: Vec<i64> = times
            .iter()
            .enumerate()
            .map(|(i, t)| match (relative, seed.get(i)) {
                (_, None) => 0,
                (0, Some(s)) => *s,
                (1, Some(s)) => t.wrapping_sub(s & 3),
                (2, Some(s)) => times[i.saturating_sub(1)].wrapping_sub(s & 1),
                (_, Some(s)) => if s & 8 == 0 { 0 } else { 1_700_000_000_000 },
            })
            .collect();
        check_starts(&starts, &times);
    }
}

#[test]
fn times_are_small() {
    let now = 1_700_000_000_000;
    let grid: Vec<i64> = (0..480).map(|i| now + i * 15_000).collect();
    assert!(check_times(&grid) <= 14);
    let jittery: Vec<i64> = grid.iter().enumerate().map(|(i, t)| t + (i * i % 7) as i64).collect();
    assert!(check_times(&jittery) <= 3 * 480 / 8 + 40);
    let mut late = grid.clone();
    late[100] += 900;
    late[300] -= 1100;
    assert!(check_times(&late) <= 40);
    let gap: Vec<i64> =
        grid.iter().filter(|t| (**t - now) % 3_600_000 > 600_000).copied().collect();
    assert!(check_times(&gap) <= 40);
}

#[test]
fn edges() {
    for times in [
        vec![],
        vec![0],
        vec![i64::MIN],
        vec![i64::MIN, i64::MAX],
        vec![i64::MAX, i64::MIN, 0, i64::MIN, i64::MAX],
        vec![0, i64::MIN, 0],
        vec![5; 1000],
        (0..MAX_CHUNK_SAMPLES as i64).collect(),
    ] {
        check_times(&times);
    }
}

#[test]
fn starts_are_small() {
    let times: Vec<i64> = (0..480).map(|i| 1_700_000_000_000 + i * 15_000).collect();
    assert_eq!(check_starts(&[], &times), 0);
    let cumulative = vec![1_699_999_999_000; 480];
    assert!(check_starts(&cumulative, &times) <= 12);
    let deltas: Vec<i64> = times.iter().map(|t| t - 15_000).collect();
    assert!(check_starts(&deltas, &times) <= 12);
    let ragged: Vec<i64> = times.iter().map(|t| t + (t % 13) * 7).collect();
    let chained: Vec<i64> = (0..480usize).map(|i| ragged[i.saturating_sub(1)]).collect();
    assert!(check_starts(&chained, &ragged) <= 12);
    let mut late = cumulative;
    late[..40].fill(0);
    assert!(check_starts(&late, &times) <= 16);
}

#[test]
fn starts_have_the_length_of_the_times() {
    let mut bytes = Vec::new();
    encode_starts(&[1, 2, 3], &[4, 5, 6], &mut bytes);
    let error = decode_starts(&bytes, &[4, 5], &mut Vec::new());
    assert_eq!(error, Err(ChunkError::Count { found: 3, expected: 2 }));
}

#[test]
fn times_that_were_decoded_before_are_the_same() {
    // More columns than are remembered, each met again soon and late.
    let column = |n: i64| -> Vec<i64> { (0..100 + n % 7).map(|i| i * 1000 + i * i * n).collect() };
    for n in (0..600).flat_map(|n| [n, n, n / 2, n / 40]) {
        let (times, mut bytes) = (column(n), Vec::new());
        encode_times(&times, &mut bytes);
        let mut decoded = vec![-1];
        decode_increasing_times(&bytes, &mut decoded).expect("a chunk just encoded decodes");
        assert_eq!(decoded[1..], times, "{n}");
    }
}

#[test]
fn times_that_do_not_increase_are_refused_each_time() {
    let mut bytes = Vec::new();
    encode_times(&[1, 3, 3, 4], &mut bytes);
    for _ in 0..2 {
        let error = decode_increasing_times(&bytes, &mut Vec::new());
        assert_eq!(error, Err(ChunkError::Order { time: 3, after: 3 }));
    }
    assert!(decode_increasing_times(&[], &mut Vec::new()).is_err());
}
