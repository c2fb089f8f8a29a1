//! The test kit of all adapters.
//!
//! Golden files lie in `src/**/testdata/{inbound,outbound,session}/*.json`, each with a note on what it shows and the page
//! of the provider's documentation behind it; `testdata/kit.json` holds what the files of one adapter share. Every file
//! is run as it stands, and as the start of the hostile cases that every adapter has to stand.
//!
//! `OMNIGATE_GOLDEN=write cargo test -p omnigate-adapters --test adapters` writes what the adapters do now into `expect`;
//! read the difference before it is committed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on must stop"
)]

mod arbitrary;
mod contract;
mod golden;
mod hostile;
mod inbound;
mod mutate;
mod outbound;
mod parameters;
mod session;
mod signature;
mod wire;

/// Every adapter of the list has golden files, and every golden file an adapter.
#[test]
fn every_adapter_is_tested() {
    let kits = golden::kits();
    for kind in omnigate_adapters::kinds() {
        let (channel, provider) = (kind.channel(), kind.provider());
        let count: usize = kits
            .iter()
            .filter(|kit| kit.shared.channel == channel && kit.shared.provider == provider)
            .map(|kit| kit.files("inbound").len() + kit.files("outbound").len())
            .sum();
        assert!(count > 0, "{channel} {provider} has no golden files");
    }
    for kit in &kits {
        assert!(
            omnigate_adapters::kind(&kit.shared.channel, &kit.shared.provider).is_ok(),
            "{}: no adapter for {}",
            kit.folder.display(),
            kit.shared.channel
        );
    }
}
