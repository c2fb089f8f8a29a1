//! The Omnigate binary.
fn main() {}
