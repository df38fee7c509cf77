//! Takes writes: decode, validate, limit, shard, forward to partitions.
