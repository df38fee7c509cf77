//! The load generator: Kubernetes-like metrics, or recorded scrapes, by
//! remote write 1.0, so cheaply that the server is what gets measured.
//!
//! ```text
//! families, values, random ─▶ kube (pods) ─▶ template ─▶ cluster (feeds) ─┐
//!                                                native ─┘                ├▶ send ─▶ http
//! scrape (recorded) ──────────────────────────────────── recorded (feeds) ┘
//! ```

pub mod cluster;
pub mod families;
pub mod feed;
pub mod http;
pub mod kube;
pub mod native;
pub mod protobuf;
pub mod random;
pub mod recorded;
pub mod send;
pub mod template;
pub mod values;
