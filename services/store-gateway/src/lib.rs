//! Serves series out of blocks in the bucket, through byte-bounded caches.
