//! The segment log of ingest partitions: writer thread, recovery, and the disk it stands on.
