//! Compiles the contracts in `proto/` with a protobuf compiler in Rust, so
//! that no `protoc` is needed. The output goes to `OUT_DIR`; readers read the
//! `.proto` files, whose comments hold the promises.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "../../proto";
    println!("cargo:rerun-if-changed={root}");
    let ours = protox::compile(["varve/v1/ingest.proto", "varve/v1/store.proto"], [root])?;
    tonic_prost_build::configure().bytes(".varve.v1").compile_fds(ours)?;
    let theirs =
        protox::compile(["prometheus/remote.proto", "io/prometheus/write/v2/types.proto"], [root])?;
    tonic_prost_build::configure().compile_fds(theirs)?;
    Ok(())
}
