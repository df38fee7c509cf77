//! Distributed reads: the seam between heads and blocks, fan-out, merge, coverage.
