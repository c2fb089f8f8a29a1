//! Channel adapters: pure translators between providers and the contract.
//!
//! A channel is one folder and one word in the list below; nothing else names it. The folder's module has a unit struct
//! `Adapter` that implements [`Kind`]. Golden files under its `testdata` are found and run by the test kit in
//! `tests/adapters`, which also derives the hostile cases that every adapter has to stand.

mod settings;

use omnigate_core::port::adapter::Kind;

/// Declares the module of each adapter, by folder, and the list of them.
macro_rules! adapters {
    ($($folder:ident { $($name:ident),+ $(,)? })+) => {
        $(mod $folder {
            $(pub(crate) mod $name;)+
        })+

        static KINDS: &[&dyn Kind] = &[$($(&$folder::$name::Adapter,)+)+];
    };
}

adapters! {
    social { telegram }
}

/// All adapters.
#[must_use]
pub fn kinds() -> &'static [&'static dyn Kind] {
    KINDS
}

/// The adapter of a channel.
#[must_use]
pub fn kind(channel: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|kind| kind.channel() == channel)
}
