//! Making a catalog anew from the blocks in the bucket.
