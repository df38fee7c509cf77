//! Whole-system tests: the real binary, real senders, the real judge.
