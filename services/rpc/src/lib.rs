//! Generated gRPC services, clients of the same traits, and server set-up.

/// Generated services of package `omnigate.v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic, unreachable_pub)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/omnigate.v1.rs"));
}
