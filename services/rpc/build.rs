//! Generates the services over the messages of `omnigate-proto`.

use prost::Message as _;
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let descriptors = prost_types::FileDescriptorSet::decode(omnigate_proto::DESCRIPTORS)?;
    tonic_prost_build::configure()
        .extern_path(".google.protobuf", "::pbjson_types")
        .extern_path(".omnigate.v1", "::omnigate_proto::v1")
        .extern_path(".omnigate.v1.PushRequest", "crate::push::Push")
        .extern_path(".omnigate.state.v1", "::omnigate_proto::state::v1")
        .compile_well_known_types(true)
        .compile_fds(descriptors)?;
    Ok(())
}
