//! Every public HTTP route on one page: [`routes`].
//!
//! The roles behind the routes are traits: [`Writer`], [`Querier`],
//! [`Admin`]. This is the only crate that names axum.

mod admin;
mod arrive;
mod json;
mod layers;
mod lenient;
mod metrics;
mod openapi;
mod ops;
mod params;
mod plan;
mod querier;
mod query;
mod read;
mod reply;
pub mod routes;
mod series;
mod serve;
mod status;
mod tenant;
mod tree;
mod write;
mod writer;

#[cfg(test)]
mod tests;

pub use admin::Admin;
pub use querier::{
    Answer, BlockSummary, InstantQuery, MetadataQuery, Querier, Query, QueryError, RangeQuery,
    ReadLimits, SeriesExemplars, SeriesQuery, SeriesStream, Stats,
};
pub use routes::{BuildInfo, ProcessInfo, Services, router};
pub use serve::serve;
pub use writer::{Protocol, RequestRoom, Unbounded, WriteReply, WriteRequest, Writer};
