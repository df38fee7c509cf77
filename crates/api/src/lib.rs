//! Every public HTTP route on one page.
//!
//! The roles behind the routes are traits: [`Writer`], [`Querier`],
//! [`Admin`]. This is the only crate that names axum.

mod admin;
mod querier;
mod writer;

pub use admin::Admin;
pub use querier::{
    Answer, InstantQuery, MetadataQuery, Querier, Query, QueryError, RangeQuery, SeriesExemplars,
    SeriesQuery,
};
pub use writer::{Protocol, WriteReply, WriteRequest, Writer};
