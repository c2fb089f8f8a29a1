//! The configuration reference in the tree is the one the code gives.

use omnigate_runtime::config::reference;
use std::{env, fs, path::Path};

#[test]
fn the_reference_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../CONFIGURATION.md");
    if env::var_os("OMNIGATE_GOLDEN").is_some_and(|how| how == "write") {
        fs::write(&file, reference()).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == reference(),
        "services/CONFIGURATION.md is out of date: OMNIGATE_GOLDEN=write cargo test -p omnigate-runtime --test reference"
    );
}
