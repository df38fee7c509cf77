//! The harness of the whole-system tests: real processes, real ports, real disks.
