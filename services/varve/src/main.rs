//! The one binary: roles, configuration, tools.
fn main() {}
