//! The messages of Omnigate's contract, generated from the `.proto` files beside this crate; nothing else.

/// The public contract, package `omnigate.v1`. Documentation of each item is its comment in the `.proto` file.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/omnigate.v1.rs"));
    include!(concat!(env!("OUT_DIR"), "/omnigate.v1.serde.rs"));
}

/// What Omnigate's processes write for each other, package `omnigate.state.v1`.
pub mod state {
    /// First version of the stored state.
    #[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/omnigate.state.v1.rs"));
    }
}

/// Encoded `FileDescriptorSet` of everything above, served by reflection and read by the service generator.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
