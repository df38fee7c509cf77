//! The PromQL endpoint over heads and blocks.
