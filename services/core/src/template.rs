//! Templates of ours: what is wrong with one, which of its variants somebody gets, and what it says to them.
//!
//! Everything is a function over values: the same template, values, language and time zone say the same on every machine
//! and at every time. A text that somebody wrote can neither run for ever nor grow without bound, whatever it is.

mod check;
mod decimal;
mod filters;
pub mod locale;
mod ready;
mod syntax;
mod value;
mod wording;

pub use check::{Checked, check};
pub use ready::{NotReady, Ready, Recipient, Refusal, Rendered, values_of};
pub use value::NotAValue;

/// Most bytes of a definition, encoded.
pub const MAX_DEFINITION: usize = 512 * 1024;
/// Most bytes of one text of a template, and of what is rendered from it.
pub const MAX_TEXT: usize = 65_536;
/// Most variables.
pub const MAX_VARIABLES: usize = 64;
/// Most variants.
pub const MAX_VARIANTS: usize = 64;
/// Most versions of a template.
pub const MAX_VERSIONS: u32 = 10_000;

#[cfg(test)]
mod tests;
