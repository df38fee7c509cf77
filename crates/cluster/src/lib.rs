//! Who owns what, and how to talk to them: the topology, placement by
//! rendezvous hashing, and gRPC channels over TCP or within the process.
//!
//! Roles talk to each other only through channels from [`Pool`], also when
//! they share a process, so that there is one code path.

mod address;
mod local;
mod placement;
mod pool;
mod serve;
mod topology;

pub use address::{Address, AddressError};
pub use local::LocalNetwork;
pub use placement::rendezvous;
pub use pool::{Pool, RpcConfig};
pub use serve::{MAX_MESSAGE, serve_local, serve_tcp};
pub use topology::{IngesterConfig, Topology, TopologyConfig, TopologyError};
