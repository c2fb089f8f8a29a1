//! One call of a script: keys and arguments, flat.

use redis::{Cmd, Script as Digested};
use std::sync::LazyLock;

/// A script with its digest.
pub(super) struct Script {
    text: &'static str,
    digested: Digested,
}

/// The script that commits.
pub(super) static COMMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("commit.lua")));
/// The script that reads.
pub(super) static READ: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("read.lua")));

impl Script {
    fn new(text: &'static str) -> Self {
        let digested = Digested::new(text);
        Self { text, digested }
    }
}

/// How a script is named in a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// By its digest: short, and refused by a server that does not know the script.
    Digest,
    /// By its text, which the server remembers from then on.
    Text,
}

/// Keys and arguments of a call.
#[derive(Default)]
pub(super) struct Call {
    pub(super) keys: Words,
    pub(super) args: Words,
}

impl Call {
    pub(super) fn command(&self, script: &Script, form: Form) -> Cmd {
        let size = self.keys.bytes.len() + self.args.bytes.len();
        let mut command = Cmd::with_capacity(self.keys.len() + self.args.len() + 3, size + 64);
        match form {
            Form::Digest => command.arg("EVALSHA").arg(script.digested.get_hash()),
            Form::Text => command.arg("EVAL").arg(script.text),
        };
        command.arg(self.keys.len());
        for word in self.keys.iter().chain(self.args.iter()) {
            command.arg(word);
        }
        command
    }
}

/// Byte strings in one buffer.
#[derive(Default)]
pub(super) struct Words {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// The place of a number that is not known yet.
pub(super) struct Later(usize);

/// Digits of such a number.
const DIGITS: usize = 9;

impl Words {
    pub(super) fn push(&mut self, word: &[u8]) {
        self.bytes.extend_from_slice(word);
        self.ends.push(self.bytes.len());
    }

    /// One word of several parts.
    pub(super) fn push_joined<'a>(&mut self, parts: impl IntoIterator<Item = &'a [u8]>) {
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.ends.push(self.bytes.len());
    }

    pub(super) fn push_number(&mut self, number: usize) {
        self.push(number.to_string().as_bytes());
    }

    pub(super) fn push_later(&mut self) -> Later {
        let start = self.bytes.len();
        self.push(&[b'0'; DIGITS]);
        Later(start)
    }

    pub(super) fn set(&mut self, Later(start): Later, number: usize) {
        let mut rest = number;
        for digit in self.bytes.iter_mut().skip(start).take(DIGITS).rev() {
            // A digit is below ten, so it fits.
            *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }
}
