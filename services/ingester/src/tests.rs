//! Tests of the ingester through its gRPC services.
