//! Black-box tests of the whole gateway: real processes of the real binary, reached only through its listeners.

pub mod bot;
pub mod gateway;
pub mod process;
pub mod reading;
pub mod tls;
pub mod wait;
