//! How the octets of a short message stand for text: SMPP's `data_coding` (SMPP 3.4, 5.2.19) with the groups of GSM 03.38
//! that pass through it.

use super::alphabet::{self, National, NotInAlphabet};
use encoding_rs::{EUC_JP, EUC_KR, Encoding, ISO_2022_JP, ISO_8859_5, ISO_8859_8, SHIFT_JIS};
use std::str::FromStr;
use unicode_normalization::UnicodeNormalization as _;

/// What an account's provider means by `data_coding` 0, "the SMSC's default alphabet".
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum DefaultAlphabet {
    /// GSM 7-bit, one septet in each octet; what most mean.
    #[default]
    Gsm7,
    /// ISO-8859-1.
    Latin1,
    /// ASCII.
    Ascii,
    /// UTF-8.
    Utf8,
}

/// A default alphabet that nobody uses.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("default alphabet {0:?} must be gsm7, latin1, ascii or utf8")]
pub struct NotADefaultAlphabet(String);

impl FromStr for DefaultAlphabet {
    type Err = NotADefaultAlphabet;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "gsm7" => Ok(Self::Gsm7),
            "latin1" => Ok(Self::Latin1),
            "ascii" => Ok(Self::Ascii),
            "utf8" => Ok(Self::Utf8),
            other => Err(NotADefaultAlphabet(other.chars().take(40).collect())),
        }
    }
}

/// How octets stand for text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coding {
    /// GSM 7-bit, one septet in each octet.
    Gsm7(National),
    /// ASCII.
    Ascii,
    /// ISO-8859-1.
    Latin1,
    /// UTF-8.
    Utf8,
    /// UCS-2, big-endian; read as UTF-16, because handsets send surrogate pairs in it.
    Ucs2,
    /// ISO-8859-5, Cyrillic.
    Cyrillic,
    /// ISO-8859-8, Hebrew.
    Hebrew,
    /// JIS X 0208 as Shift_JIS, also for pictograms.
    ShiftJis,
    /// ISO-2022-JP.
    Iso2022Jp,
    /// JIS X 0212 as EUC-JP, the one common coding that has it.
    EucJp,
    /// KS C 5601 as EUC-KR.
    EucKr,
    /// No text at all. Read and written as ISO-8859-1, so that nothing is lost.
    Octets,
}

impl Coding {
    /// What a `data_coding` means. `default` is what the provider means by 0 and by values that SMPP reserves, `national`
    /// what the message's user data header says.
    #[must_use]
    pub fn of_data_coding(value: u8, default: DefaultAlphabet, national: National) -> Self {
        let default = match default {
            DefaultAlphabet::Gsm7 => Self::Gsm7(national),
            DefaultAlphabet::Latin1 => Self::Latin1,
            DefaultAlphabet::Ascii => Self::Ascii,
            DefaultAlphabet::Utf8 => Self::Utf8,
        };
        match value {
            0x01 => Self::Ascii,
            0x02 | 0x04 => Self::Octets,
            0x03 => Self::Latin1,
            0x05 | 0x09 => Self::ShiftJis,
            0x06 => Self::Cyrillic,
            0x07 => Self::Hebrew,
            0x08 => Self::Ucs2,
            0x0a => Self::Iso2022Jp,
            0x0d => Self::EucJp,
            0x0e => Self::EucKr,
            // GSM's general group with a message class; 0x10 is a flash message.
            0x10..=0x1f => match value & 0x0c {
                0x04 => Self::Octets,
                0x08 => Self::Ucs2,
                _ => Self::Gsm7(national),
            },
            // The same, compressed: nobody sends it, and unpacked it would be something else.
            0x20..=0x3f => Self::Octets,
            // Message waiting.
            0xc0..=0xdf => Self::Gsm7(national),
            0xe0..=0xef => Self::Ucs2,
            // Data coding and message class; 0xF0 is a flash message.
            0xf0..=0xff if value & 0x04 != 0 => Self::Octets,
            0xf0..=0xff => Self::Gsm7(national),
            _ => default,
        }
    }

    fn foreign(self) -> Option<&'static Encoding> {
        match self {
            Self::Cyrillic => Some(ISO_8859_5),
            Self::Hebrew => Some(ISO_8859_8),
            Self::ShiftJis => Some(SHIFT_JIS),
            Self::Iso2022Jp => Some(ISO_2022_JP),
            Self::EucJp => Some(EUC_JP),
            Self::EucKr => Some(EUC_KR),
            _ => None,
        }
    }
}

/// UTF-16 code units of octets; what cannot be read becomes U+FFFD.
///
/// Units and not text, because a long UCS-2 message may be cut inside a surrogate pair: join the units of all pieces, then
/// call [`text`]. Where one character takes several octets (UTF-8 and the Asian codings), join the octets first.
#[must_use]
pub fn decode(coding: Coding, octets: &[u8]) -> Vec<u16> {
    match coding {
        Coding::Gsm7(national) => alphabet::decode(octets, national),
        Coding::Ascii => octets
            .iter()
            .map(|octet| if octet.is_ascii() { u16::from(*octet) } else { 0xfffd })
            .collect(),
        Coding::Utf8 => String::from_utf8_lossy(octets).encode_utf16().collect(),
        Coding::Ucs2 => {
            let (pairs, odd) = octets.as_chunks::<2>();
            let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
            units.chain(odd.iter().map(|_| 0xfffd)).collect()
        }
        _ => match coding.foreign() {
            Some(encoding) => encoding.decode_without_bom_handling(octets).0.encode_utf16().collect(),
            None => octets.iter().map(|octet| u16::from(*octet)).collect(),
        },
    }
}

/// Text of UTF-16 code units, NFC; half a surrogate pair becomes U+FFFD.
#[must_use]
pub fn text(units: &[u16]) -> String {
    char::decode_utf16(units.iter().copied())
        .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
        .nfc()
        .collect()
}

/// Octets of a text, exactly as it is; normalise it first.
pub fn encode(coding: Coding, text: &str) -> Result<Vec<u8>, NotInAlphabet> {
    match coding {
        Coding::Gsm7(national) => alphabet::encode(text, national),
        Coding::Ascii => each(text, 0x7f),
        Coding::Utf8 => Ok(text.as_bytes().to_vec()),
        Coding::Ucs2 => Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        _ => match coding.foreign() {
            Some(encoding) => encode_foreign(encoding, text),
            None => each(text, 0xff),
        },
    }
}

fn each(text: &str, last: u8) -> Result<Vec<u8>, NotInAlphabet> {
    let octet = |(position, character): (usize, char)| {
        let octet = u8::try_from(character).ok().filter(|octet| *octet <= last);
        octet.ok_or(NotInAlphabet { character, position })
    };
    text.chars().enumerate().map(octet).collect()
}

fn encode_foreign(encoding: &'static Encoding, text: &str) -> Result<Vec<u8>, NotInAlphabet> {
    let (octets, _, lossy) = encoding.encode(text);
    if !lossy {
        return Ok(octets.into_owned());
    }
    let is_missing = |character: &char| encoding.encode(character.encode_utf8(&mut [0; 4])).2;
    let (position, character) = text
        .chars()
        .enumerate()
        .find(|(_, character)| is_missing(character))
        .unwrap_or((0, char::REPLACEMENT_CHARACTER));
    Err(NotInAlphabet { character, position })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Coding; 12] = [
        Coding::Gsm7(National {
            locking: None,
            single: None,
        }),
        Coding::Ascii,
        Coding::Latin1,
        Coding::Utf8,
        Coding::Ucs2,
        Coding::Cyrillic,
        Coding::Hebrew,
        Coding::ShiftJis,
        Coding::Iso2022Jp,
        Coding::EucJp,
        Coding::EucKr,
        Coding::Octets,
    ];

    fn of(value: u8) -> Coding {
        Coding::of_data_coding(value, DefaultAlphabet::Gsm7, National::default())
    }

    fn read(coding: Coding, octets: &[u8]) -> String {
        text(&decode(coding, octets))
    }

    #[test]
    fn every_data_coding_has_its_meaning() {
        let gsm = Coding::Gsm7(National::default());
        for (values, coding) in [
            (&[0x00, 0x0b, 0x0c, 0x0f, 0x40, 0xbf][..], gsm),
            (&[0x01], Coding::Ascii),
            (
                &[0x02, 0x04, 0x14, 0x17, 0x20, 0x3f, 0xf4, 0xf5, 0xf7, 0xff],
                Coding::Octets,
            ),
            (&[0x03], Coding::Latin1),
            (&[0x05, 0x09], Coding::ShiftJis),
            (&[0x06], Coding::Cyrillic),
            (&[0x07], Coding::Hebrew),
            (&[0x08, 0x18, 0x19, 0xe0], Coding::Ucs2),
            (&[0x0a], Coding::Iso2022Jp),
            (&[0x0d], Coding::EucJp),
            (&[0x0e], Coding::EucKr),
            (&[0x10, 0x11, 0x13, 0xc0, 0xd0, 0xf0, 0xf1, 0xf3, 0xf8], gsm),
        ] {
            for value in values {
                assert_eq!(of(*value), coding, "{value:#04x}");
            }
        }
    }

    #[test]
    fn zero_means_what_the_account_says() {
        let zero = |name: &str| Coding::of_data_coding(0, name.parse().unwrap(), National::default());
        assert_eq!(read(zero("gsm7"), b"\x00a\x04"), "@aè");
        assert_eq!(read(zero("latin1"), b"\xe9t\xe9 $"), "été $");
        assert_eq!(read(zero("ascii"), b"\xe9t\xe9 $"), "\u{fffd}t\u{fffd} $");
        assert_eq!(read(zero("utf8"), "chào".as_bytes()), "chào");
        let latin1 = Coding::of_data_coding(0xf0, DefaultAlphabet::Latin1, National::default());
        assert_eq!(
            read(latin1, b"\x02"),
            "$",
            "the class of a flash message names the GSM alphabet"
        );
        assert!(
            "gsm"
                .parse::<DefaultAlphabet>()
                .unwrap_err()
                .to_string()
                .contains("gsm7")
        );
    }

    #[test]
    fn text_of_the_world_is_read() {
        for (coding, octets, expected) in [
            (Coding::Cyrillic, &b"\xbf\xe0\xd8\xd2\xd5\xe2"[..], "Привет"),
            (Coding::Hebrew, b"\xf9\xec\xe5\xed", "שלום"),
            (Coding::ShiftJis, b"\x93\xfa\x96\x7b", "日本"),
            (Coding::Iso2022Jp, b"\x1b$BF|K\\\x1b(B", "日本"),
            (Coding::EucJp, b"\xc6\xfc\xcb\xdc", "日本"),
            (Coding::EucKr, b"\xc7\xd1\xb1\xdb", "한글"),
            (Coding::Ucs2, b"\x1e\xbf\xd8\x3d\xde\x00", "ế😀"),
        ] {
            assert_eq!(read(coding, octets), expected);
            assert_eq!(encode(coding, expected).unwrap(), octets, "{coding:?}");
        }
    }

    #[test]
    fn a_surrogate_pair_cut_between_pieces_is_joined() {
        let mut units = decode(Coding::Ucs2, b"\0a\xd8\x3d");
        assert_eq!(text(&units), "a\u{fffd}");
        units.extend(decode(Coding::Ucs2, b"\xde\x00\0b"));
        assert_eq!(text(&units), "a😀b");
        assert_eq!(read(Coding::Ucs2, b"\0a\0"), "a\u{fffd}", "an odd octet");
    }

    #[test]
    fn text_is_composed() {
        assert_eq!(read(Coding::Ucs2, b"\0e\x03\x02\x03\x01"), "ế");
    }

    #[test]
    fn what_a_coding_lacks_is_named() {
        for coding in [
            Coding::Gsm7(National::default()),
            Coding::Ascii,
            Coding::Latin1,
            Coding::Cyrillic,
            Coding::Hebrew,
        ] {
            let problem = encode(coding, "ab ế").unwrap_err();
            assert_eq!((problem.character, problem.position), ('ế', 3), "{coding:?}");
            assert!(!problem.to_string().contains('ế'), "texts stay out of logs");
        }
    }

    proptest! {
        #[test]
        fn any_octets_are_read(octets in prop::collection::vec(any::<u8>(), 0..300), value in any::<u8>()) {
            for coding in ALL {
                let _text = text(&decode(coding, &octets));
            }
            let _text = text(&decode(of(value), &octets));
        }

        #[test]
        fn any_units_are_text(units in prop::collection::vec(any::<u16>(), 0..300)) {
            let text = text(&units);
            prop_assert!(unicode_normalization::is_nfc(&text));
        }

        #[test]
        fn what_is_written_is_read_again(text in "\\PC{0,60}") {
            for coding in [Coding::Ascii, Coding::Latin1, Coding::Utf8, Coding::Ucs2, Coding::Cyrillic, Coding::Hebrew, Coding::Octets] {
                if let Ok(octets) = encode(coding, &text) {
                    prop_assert_eq!(String::from_utf16(&decode(coding, &octets)).unwrap(), text.clone(), "{:?}", coding);
                }
            }
        }

        #[test]
        fn octets_of_latin_1_are_what_they_were(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            let text = String::from_utf16(&decode(Coding::Latin1, &octets)).unwrap();
            prop_assert_eq!(encode(Coding::Latin1, &text).unwrap(), octets);
        }
    }
}
