//! Which partition a series belongs to: first the tenant's few partitions,
//! then one of them by the series' labels, both by rendezvous, so that one
//! partition more moves only its own share.

use varve_cluster::rendezvous;
use varve_model::{Labels, TenantId};

/// The partitions over which a tenant's series are spread, sorted: `size` of
/// `count`, all when `size` is 0. The same for every caller.
pub fn subset(tenant: &TenantId, count: u32, size: u32) -> Vec<u32> {
    if size == 0 || size >= count {
        return (0..count).collect();
    }
    let names: Vec<[u8; 4]> = (0..count).map(u32::to_be_bytes).collect();
    let order = rendezvous(tenant.as_str().as_bytes(), &names);
    let mut out: Vec<u32> =
        order.into_iter().take(size as usize).map(|n| u32::from_be_bytes(*n)).collect();
    out.sort_unstable();
    out
}

/// The partitions of one tenant.
#[derive(Clone, Debug)]
pub(crate) struct Shards(Vec<u32>);

impl Shards {
    pub(crate) fn new(tenant: &TenantId, count: u32, size: u32) -> Self {
        Self(subset(tenant, count, size))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// The partition of a series.
    pub(crate) fn of(&self, labels: &Labels) -> u32 {
        self.of_hash(labels.hash64())
    }

    /// The partition of something with this hash.
    pub(crate) fn of_hash(&self, hash: u64) -> u32 {
        let score = |p: &u32| mix(hash ^ mix(u64::from(*p) + 1));
        self.0.iter().copied().max_by_key(|p| (score(p), *p)).unwrap_or(0)
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_partition_more_moves_only_its_share() {
        let tenant = TenantId::new("team-1").unwrap();
        let (four, five) = (Shards::new(&tenant, 9, 4), Shards::new(&tenant, 9, 5));
        assert!(four.0.iter().all(|p| five.0.contains(p)));
        let mut shares = std::collections::BTreeMap::<u32, u32>::new();
        for i in 0..10_000u64 {
            let (a, b) = (four.of_hash(mix(i)), five.of_hash(mix(i)));
            assert!(a == b || !four.0.contains(&b));
            *shares.entry(b).or_default() += 1;
        }
        assert!(shares.values().all(|n| (1_700..2_300).contains(n)), "{shares:?}");
    }

    #[test]
    fn a_subset_is_never_larger_than_the_whole() {
        let tenant = TenantId::anonymous();
        assert_eq!(subset(&tenant, 1, 1), [0]);
        assert_eq!(subset(&tenant, 3, 0), [0, 1, 2]);
        assert_eq!(subset(&tenant, 3, 9), [0, 1, 2]);
        assert_eq!(subset(&tenant, 8, 2).len(), 2);
    }
}
