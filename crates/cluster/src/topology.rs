//! Which process owns which partition, and where the store-gateways are.
//!
//! The addresses are static, from the configuration; every process is given
//! the same list.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Address;

/// The cluster as configured.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopologyConfig {
    /// Number of ingest partitions in the whole cluster. Partitions are
    /// written and read independently; more use more cores, each costs some
    /// memory and at least one block an active tenant every two hours.
    pub partitions: u32,
    /// The ingesters. Empty = this process hosts all partitions.
    pub ingesters: Vec<IngesterConfig>,
    /// The store-gateways. Empty = this process is the only one.
    pub store_gateways: Vec<Address>,
}

/// One ingester.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngesterConfig {
    /// Its gRPC address.
    pub address: Address,
    /// The partitions that it hosts.
    pub partitions: Vec<u32>,
}

impl Default for TopologyConfig {
    fn default() -> Self {
        Self { partitions: 1, ingesters: Vec::new(), store_gateways: Vec::new() }
    }
}

/// Why a topology was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// Zero partitions.
    #[error("cluster.partitions must be at least 1")]
    NoPartitions,
    /// A partition without an ingester.
    #[error("partition {0} of cluster.partitions = {1} is hosted by no entry of cluster.ingesters")]
    Unhosted(u32, u32),
    /// A partition with two.
    #[error("partition {0} is hosted by two entries of cluster.ingesters: {1} and {2}")]
    HostedTwice(u32, Address, Address),
    /// A partition outside the range.
    #[error("partition {0} of {1} is not below cluster.partitions = {2}")]
    OutOfRange(u32, Address, u32),
}

/// The cluster as checked: every partition has exactly one owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    owners: Vec<Address>,
    gateways: Vec<Address>,
}

impl Topology {
    /// Checks a configuration.
    ///
    /// # Errors
    /// When a partition has no owner, or more than one.
    pub fn new(config: &TopologyConfig) -> Result<Self, TopologyError> {
        let count = config.partitions;
        if count == 0 {
            return Err(TopologyError::NoPartitions);
        }
        let gateways = match config.store_gateways.as_slice() {
            [] => vec![Address::Local],
            some => some.to_vec(),
        };
        if config.ingesters.is_empty() {
            return Ok(Self { owners: vec![Address::Local; count as usize], gateways });
        }
        let mut owners: BTreeMap<u32, Address> = BTreeMap::new();
        for ingester in &config.ingesters {
            for &p in &ingester.partitions {
                if p >= count {
                    return Err(TopologyError::OutOfRange(p, ingester.address.clone(), count));
                }
                if let Some(first) = owners.insert(p, ingester.address.clone()) {
                    return Err(TopologyError::HostedTwice(p, first, ingester.address.clone()));
                }
            }
        }
        if let Some(p) = (0..count).find(|p| !owners.contains_key(p)) {
            return Err(TopologyError::Unhosted(p, count));
        }
        Ok(Self { owners: owners.into_values().collect(), gateways })
    }

    /// Number of partitions.
    pub fn partitions(&self) -> u32 {
        self.owners.len() as u32
    }

    /// Who hosts a partition; `None` when there is no such partition.
    pub fn owner(&self, partition: u32) -> Option<&Address> {
        self.owners.get(partition as usize)
    }

    /// Every ingester with its partitions.
    pub fn ingesters(&self) -> BTreeMap<&Address, Vec<u32>> {
        let mut out: BTreeMap<&Address, Vec<u32>> = BTreeMap::new();
        for (p, owner) in (0..).zip(&self.owners) {
            out.entry(owner).or_default().push(p);
        }
        out
    }

    /// The store-gateways, at least one.
    pub fn store_gateways(&self) -> &[Address] {
        &self.gateways
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ingester(address: &str, partitions: &[u32]) -> IngesterConfig {
        IngesterConfig {
            address: address.parse().expect("an address"),
            partitions: partitions.to_vec(),
        }
    }

    #[test]
    fn every_partition_has_exactly_one_owner() {
        let check = |partitions, ingesters: &[IngesterConfig]| {
            let ingesters = ingesters.to_vec();
            Topology::new(&TopologyConfig { partitions, ingesters, ..Default::default() })
        };
        let (a, b) = ("a:1", "b:1");
        assert!(check(0, &[]).is_err());
        assert_eq!(check(3, &[]).expect("valid").owner(2), Some(&Address::Local));
        let both = [ingester(a, &[0, 2]), ingester(b, &[1])];
        let topology = check(3, &both).expect("valid");
        assert_eq!(topology.owner(1), Some(&Address::Remote(b.into())));
        assert_eq!(topology.ingesters().len(), 2);
        assert!(matches!(check(4, &both), Err(TopologyError::Unhosted(3, 4))));
        assert!(matches!(check(2, &both), Err(TopologyError::OutOfRange(2, _, 2))));
        let twice = [ingester(a, &[0, 1]), ingester(b, &[1])];
        assert!(matches!(check(2, &twice), Err(TopologyError::HostedTwice(1, _, _))));
    }
}
