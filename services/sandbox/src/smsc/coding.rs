//! Alphabets: what `data_coding` says the octets are.

use serde::{Deserialize, Serialize};

/// GSM 03.38, one septet an octet as SMPP carries it; the index is the code.
const BASIC: &str = concat!(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ",
    " !\"#¤%&'()*+,-./0123456789:;<=>?",
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§",
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
);
/// What follows an escape.
const EXTENSION: [(u8, char); 10] = [
    (0x0A, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2F, '\\'),
    (0x3C, '['),
    (0x3D, '~'),
    (0x3E, ']'),
    (0x40, '|'),
    (0x65, '€'),
];
pub(super) const ESCAPE: u8 = 0x1B;

/// How text becomes octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coding {
    /// GSM 03.38 where it suffices, UCS-2 otherwise.
    #[default]
    Auto,
    /// `data_coding` 0: GSM 03.38, one septet an octet.
    Gsm7,
    /// `data_coding` 1.
    Ascii,
    /// `data_coding` 3.
    Latin1,
    /// `data_coding` 8: UTF-16, big-endian.
    Ucs2,
}

impl Coding {
    /// Never `Auto`.
    pub(super) fn for_text(self, text: &str) -> Self {
        match self {
            Self::Auto if encode_gsm(text).is_some() => Self::Gsm7,
            Self::Auto => Self::Ucs2,
            chosen => chosen,
        }
    }

    pub(super) fn data_coding(self) -> u8 {
        match self {
            Self::Auto | Self::Gsm7 => 0,
            Self::Ascii => 1,
            Self::Latin1 => 3,
            Self::Ucs2 => 8,
        }
    }

    /// None where the alphabet lacks a character.
    pub(super) fn encode(self, text: &str) -> Option<Vec<u8>> {
        match self.for_text(text) {
            Self::Auto | Self::Gsm7 => encode_gsm(text),
            Self::Ascii => text.is_ascii().then(|| text.as_bytes().to_vec()),
            Self::Latin1 => text.chars().map(|letter| u8::try_from(letter).ok()).collect(),
            Self::Ucs2 => Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        }
    }
}

/// What `data_coding` says, in the terms that matter for lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    Gsm7,
    Ascii,
    Latin1,
    Ucs2,
    Octets,
}

pub(super) fn alphabet(data_coding: u8) -> Alphabet {
    match data_coding {
        0 => Alphabet::Gsm7,
        1 => Alphabet::Ascii,
        3 => Alphabet::Latin1,
        8 => Alphabet::Ucs2,
        // The general group of GSM 03.38 with a message class, such as a flash message.
        0x10..=0x1F => match data_coding & 0x0C {
            0x00 => Alphabet::Gsm7,
            0x08 => Alphabet::Ucs2,
            _ => Alphabet::Octets,
        },
        0xF0..=0xFF if data_coding & 0x04 == 0 => Alphabet::Gsm7,
        _ => Alphabet::Octets,
    }
}

/// The text in `octets`; None where they are no text, or not of the alphabet that `data_coding` names.
pub(super) fn decode(data_coding: u8, octets: &[u8]) -> Option<String> {
    match alphabet(data_coding) {
        Alphabet::Gsm7 => decode_gsm(octets),
        Alphabet::Ascii => octets
            .is_ascii()
            .then(|| octets.iter().copied().map(char::from).collect()),
        Alphabet::Latin1 => Some(octets.iter().copied().map(char::from).collect()),
        Alphabet::Ucs2 => {
            let (units, rest) = octets.as_chunks::<2>();
            let units: Vec<u16> = units.iter().copied().map(u16::from_be_bytes).collect();
            String::from_utf16(&units).ok().filter(|_| rest.is_empty())
        }
        Alphabet::Octets => None,
    }
}

fn encode_gsm(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    for letter in text.chars() {
        if let Some((code, _)) = EXTENSION.iter().find(|(_, extended)| *extended == letter) {
            octets.extend([ESCAPE, *code]);
        } else {
            let code = BASIC.chars().position(|basic| basic == letter && basic != '\u{1b}')?;
            octets.push(u8::try_from(code).ok()?);
        }
    }
    Some(octets)
}

fn decode_gsm(octets: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(octets.len());
    let mut octets = octets.iter().copied();
    while let Some(octet) = octets.next() {
        let letter = if octet == ESCAPE {
            let code = octets.next()?;
            EXTENSION.iter().find(|(known, _)| *known == code)?.1
        } else {
            BASIC.chars().nth(octet.into())?
        };
        text.push(letter);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alphabet_comes_back_as_it_went() {
        assert_eq!(BASIC.chars().count(), 128);
        for (coding, text) in [
            (Coding::Gsm7, "à la carte: 5€ [x] {y} ~^|\\ ÉΩ@"),
            (Coding::Ascii, "plain ~"),
            (Coding::Latin1, "façade ÿ"),
            (Coding::Ucs2, "Xin chào, đường số 5 👋"),
        ] {
            let octets = coding.encode(text).unwrap();
            assert_eq!(decode(coding.data_coding(), &octets).as_deref(), Some(text));
        }
    }

    #[test]
    fn known_octets() {
        assert_eq!(Coding::Gsm7.encode("@$€").unwrap(), [0x00, 0x02, 0x1B, 0x65]);
        assert_eq!(
            Coding::Ucs2.encode("đ👋").unwrap(),
            [0x01, 0x11, 0xD8, 0x3D, 0xDC, 0x4B]
        );
        assert_eq!(Coding::Auto.for_text("chao"), Coding::Gsm7);
        assert_eq!(Coding::Auto.for_text("chào đ"), Coding::Ucs2);
        assert_eq!(decode(0xF0, b"Hi").as_deref(), Some("Hi"));
        assert_eq!(decode(0x18, &[0x01, 0x11]).as_deref(), Some("đ"));
    }

    #[test]
    fn what_is_not_of_the_alphabet_is_no_text() {
        assert_eq!(Coding::Gsm7.encode("đ"), None);
        assert_eq!(Coding::Latin1.encode("đ"), None);
        assert_eq!(decode(0, &[0x80]), None);
        assert_eq!(decode(0, &[ESCAPE]), None);
        assert_eq!(decode(8, &[0x01]), None);
        assert_eq!(decode(8, &[0xD8, 0x3D]), None);
        assert_eq!(decode(4, b"x"), None);
    }
}
