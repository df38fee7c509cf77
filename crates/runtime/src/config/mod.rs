//! Configuration files: YAML in which every key must be known, with values
//! that people write (`10m`, `64MiB`).

mod units;
mod yaml;

pub use units::{ByteSize, HumanDuration};
pub use yaml::{ConfigError, nearest, parse, to_yaml};
