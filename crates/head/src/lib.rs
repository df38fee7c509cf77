//! Recent data: series map, in-memory chunks, apply, seal, replay, and cutting a range into a block.
