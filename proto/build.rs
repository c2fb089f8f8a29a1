//! Generates the messages with a parser written in Rust, so that no `protoc` has to be installed.

use prost::Message as _;
use std::{error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=omnigate");
    let mut files = Vec::new();
    for folder in ["omnigate/v1", "omnigate/state/v1"] {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
    }
    files.sort();
    let descriptors = protox::compile(&files, ["."])?;
    let bytes = descriptors.encode_to_vec();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), &bytes)?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_server(false)
        .extern_path(".google.protobuf", "::pbjson_types")
        .compile_well_known_types(true)
        .bytes(".")
        // Encoded bytes are hashed (request ids, event ids), so the same message must always encode the same way.
        .btree_map(".")
        .compile_fds(descriptors)?;
    pbjson_build::Builder::new()
        .register_descriptors(&bytes)?
        .btree_map(["."])
        .build(&[".omnigate.v1"])?;
    Ok(())
}
