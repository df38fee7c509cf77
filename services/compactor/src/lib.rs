//! Applies retention and collects garbage.
