//! Hosts ingest partitions: log, head, sealing, shipping, recent reads.
