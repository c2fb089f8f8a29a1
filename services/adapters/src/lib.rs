//! Channel adapters: pure translators between providers and the contract.
//!
//! A channel is one folder and one word in the list below; nothing else names it. The folder's module has a unit struct
//! `Adapter` that implements [`Kind`]. Golden files under its `testdata` are found and run by the test kit in
//! `tests/adapters`, which also derives the hostile cases that every adapter has to stand.

mod html;
mod multipart;
mod settings;
mod split;
mod texting;

use omnigate_core::port::adapter::{Kind, NoKind, select};

/// Declares the module of each adapter and the list of them: `name` is the folder `name`, `group { name }` the folder
/// `group/name`.
///
/// `cargo fmt` does not follow modules that a macro declares; format the files by name.
macro_rules! adapters {
    (@list [$($kind:expr),*]) => {
        static KINDS: &[&dyn Kind] = &[$($kind),*];
    };
    (@list [$($kind:expr),*] $group:ident { $($name:ident),+ $(,)? } $(, $($rest:tt)*)?) => {
        mod $group {
            $(pub(crate) mod $name;)+
        }
        adapters! { @list [$($kind,)* $(&$group::$name::Adapter),+] $($($rest)*)? }
    };
    (@list [$($kind:expr),*] $name:ident $(, $($rest:tt)*)?) => {
        mod $name;
        adapters! { @list [$($kind,)* &$name::Adapter] $($($rest)*)? }
    };
    ($($list:tt)+) => {
        adapters! { @list [] $($list)+ }
    };
}

adapters! {
    sms {
        esms,
        smpp,
        speedsms,
        twilio,
    },
    social { telegram },
    zalo,
}

/// All adapters.
#[must_use]
pub fn kinds() -> &'static [&'static dyn Kind] {
    KINDS
}

/// The adapter of a channel and, where that has several, of a provider.
pub fn kind(channel: &str, provider: &str) -> Result<&'static dyn Kind, NoKind> {
    select(KINDS, channel, provider)
}
