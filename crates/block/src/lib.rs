//! Every byte layout that lives in the bucket: chunk codec, Parquet schemas, block meta.
