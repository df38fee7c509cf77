//! Who owns what, and how to talk to them: addresses, placement, gRPC channels.
