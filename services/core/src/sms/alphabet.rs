//! The GSM 7-bit default alphabet with its extension, and the national tables that may replace parts of it
//! (GSM 03.38, 3GPP 23.038), over unpacked septets: one in each octet, as SMPP carries them.
//!
//! Of the national tables there are those of Turkish, Spanish and Portuguese: the three of Latin script. The ten of Indian
//! languages are not here; their texts go as UCS-2, which every handset reads. A table may be used only when the receiving
//! side agreed to it, because a handset that does not know it shows other letters without a warning; hence it is always an
//! argument.

/// Introduces a septet of the extension table.
pub const ESCAPE: u8 = 0x1b;
/// What stands for an octet that is no septet.
const UNKNOWN: char = char::REPLACEMENT_CHARACTER;
/// Not a septet.
const NONE: u8 = 0xff;

/// 3GPP 23.038, 6.2.1. Escape is listed as itself and never looked up.
#[rustfmt::skip]
const DEFAULT: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å',
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1b}', 'Æ', 'æ', 'ß', 'É',
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/',
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?',
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§',
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// 3GPP 23.038, 6.2.1.1. Every national single shift table of a Latin script holds it too.
const EXTENSION: &[(u8, char)] = &[
    (0x0a, '\u{c}'),
    (0x14, '^'),
    (0x28, '{'),
    (0x29, '}'),
    (0x2f, '\\'),
    (0x3c, '['),
    (0x3d, '~'),
    (0x3e, ']'),
    (0x40, '|'),
    (0x65, '€'),
];

/// Septets of the default alphabet for U+0000 to U+00FF.
const LATIN: [u8; 256] = {
    let mut septets = [NONE; 256];
    let mut septet: u8 = 0;
    while septet < 128 {
        let code = DEFAULT[septet as usize] as usize;
        if code < 256 && septet != ESCAPE {
            septets[code] = septet;
        }
        septet += 1;
    }
    septets
};

/// A language with tables of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Language {
    /// Has both tables.
    Turkish,
    /// Has a single shift table only.
    Spanish,
    /// Has both tables.
    Portuguese,
}

impl Language {
    /// Its National Language Identifier, as information elements 0x24 (single) and 0x25 (locking) carry it.
    #[must_use]
    pub const fn identifier(self) -> u8 {
        match self {
            Self::Turkish => 1,
            Self::Spanish => 2,
            Self::Portuguese => 3,
        }
    }

    /// The language of an identifier, if its tables are here.
    #[must_use]
    pub const fn of_identifier(identifier: u8) -> Option<Self> {
        match identifier {
            1 => Some(Self::Turkish),
            2 => Some(Self::Spanish),
            3 => Some(Self::Portuguese),
            _ => None,
        }
    }

    /// What its locking shift table has in other places than the default alphabet (23.038, A.3).
    const fn locking(self) -> &'static [(u8, char)] {
        match self {
            Self::Turkish => &[
                (0x04, '€'),
                (0x07, 'ı'),
                (0x0b, 'Ğ'),
                (0x0c, 'ğ'),
                (0x1c, 'Ş'),
                (0x1d, 'ş'),
                (0x40, 'İ'),
                (0x60, 'ç'),
            ],
            Self::Spanish => &[],
            Self::Portuguese => PORTUGUESE_LOCKING,
        }
    }

    /// What its single shift table has beyond the extension of the default alphabet (23.038, A.2).
    const fn single(self) -> &'static [(u8, char)] {
        match self {
            Self::Turkish => &[
                (0x47, 'Ğ'),
                (0x49, 'İ'),
                (0x53, 'Ş'),
                (0x63, 'ç'),
                (0x67, 'ğ'),
                (0x69, 'ı'),
                (0x73, 'ş'),
            ],
            Self::Spanish => &[
                (0x09, 'ç'),
                (0x41, 'Á'),
                (0x49, 'Í'),
                (0x4f, 'Ó'),
                (0x55, 'Ú'),
                (0x61, 'á'),
                (0x69, 'í'),
                (0x6f, 'ó'),
                (0x75, 'ú'),
            ],
            Self::Portuguese => PORTUGUESE_SINGLE,
        }
    }
}

#[rustfmt::skip]
const PORTUGUESE_LOCKING: &[(u8, char)] = &[
    (0x04, 'ê'), (0x06, 'ú'), (0x07, 'í'), (0x08, 'ó'), (0x09, 'ç'), (0x0b, 'Ô'), (0x0c, 'ô'), (0x0e, 'Á'), (0x0f, 'á'),
    (0x12, 'ª'), (0x13, 'Ç'), (0x14, 'À'), (0x15, '∞'), (0x16, '^'), (0x17, '\\'), (0x18, '€'), (0x19, 'Ó'), (0x1a, '|'),
    (0x1c, 'Â'), (0x1d, 'â'), (0x1e, 'Ê'), (0x24, 'º'), (0x40, 'Í'), (0x5b, 'Ã'), (0x5c, 'Õ'), (0x5d, 'Ú'), (0x60, '~'),
    (0x7b, 'ã'), (0x7c, 'õ'), (0x7d, '`'),
];

#[rustfmt::skip]
const PORTUGUESE_SINGLE: &[(u8, char)] = &[
    (0x05, 'ê'), (0x09, 'ç'), (0x0b, 'Ô'), (0x0c, 'ô'), (0x0e, 'Á'), (0x0f, 'á'), (0x12, 'Φ'), (0x13, 'Γ'), (0x15, 'Ω'),
    (0x16, 'Π'), (0x17, 'Ψ'), (0x18, 'Σ'), (0x19, 'Θ'), (0x1f, 'Ê'), (0x41, 'À'), (0x49, 'Í'), (0x4f, 'Ó'), (0x55, 'Ú'),
    (0x5b, 'Ã'), (0x5c, 'Õ'), (0x61, 'Â'), (0x69, 'í'), (0x6f, 'ó'), (0x75, 'ú'), (0x7b, 'ã'), (0x7c, 'õ'), (0x7f, 'â'),
];

/// The national tables in use; none of them by default.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct National {
    /// Replaces the default alphabet for the whole message. Spanish has no such table: the default one stays.
    pub locking: Option<Language>,
    /// Replaces the extension table.
    pub single: Option<Language>,
}

impl National {
    /// Octets that its information elements take in the user data header.
    #[must_use]
    pub const fn header_octets(self) -> usize {
        3 * (self.locking.is_some() as usize + self.single.is_some() as usize)
    }

    fn main(self, septet: u8) -> char {
        let national = self.locking.and_then(|language| character(language.locking(), septet));
        national
            .or_else(|| DEFAULT.get(usize::from(septet)).copied())
            .unwrap_or(UNKNOWN)
    }

    fn extended(self, septet: u8) -> Option<char> {
        character(EXTENSION, septet).or_else(|| self.single.and_then(|language| character(language.single(), septet)))
    }
}

/// How a character is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// As this septet.
    Plain(u8),
    /// As this septet after [`ESCAPE`].
    Escaped(u8),
}

impl Written {
    /// Septets it takes.
    #[must_use]
    pub const fn septets(self) -> usize {
        match self {
            Self::Plain(_) => 1,
            Self::Escaped(_) => 2,
        }
    }
}

/// A character that an alphabet does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("character {} of the text is not in the alphabet", position + 1)]
pub struct NotInAlphabet {
    /// Which one.
    pub character: char,
    /// Characters before it.
    pub position: usize,
}

/// How a character is written, if the alphabet has it.
#[must_use]
pub fn written(character: char, national: National) -> Option<Written> {
    let locking = national.locking.map_or(&[][..], Language::locking);
    if let Some(own) = septet(locking, character) {
        return Some(Written::Plain(own));
    }
    let default = default_septet(character).filter(|septet| locking.iter().all(|(replaced, _)| replaced != septet));
    if let Some(default) = default {
        return Some(Written::Plain(default));
    }
    let single = national.single.map_or(&[][..], Language::single);
    septet(EXTENSION, character)
        .or_else(|| septet(single, character))
        .map(Written::Escaped)
}

/// Unpacked septets of a text.
pub fn encode(text: &str, national: National) -> Result<Vec<u8>, NotInAlphabet> {
    let mut septets = Vec::with_capacity(text.len());
    for (position, character) in text.chars().enumerate() {
        match written(character, national).ok_or(NotInAlphabet { character, position })? {
            Written::Plain(septet) => septets.push(septet),
            Written::Escaped(septet) => septets.extend([ESCAPE, septet]),
        }
    }
    Ok(septets)
}

/// UTF-16 code units of unpacked septets. A septet that the extension does not have is read as in the main table, a second
/// escape or one at the end as a space (23.038, 6.2.1.1), an octet above 0x7F as U+FFFD.
#[must_use]
pub fn decode(octets: &[u8], national: National) -> Vec<u16> {
    let mut units = Vec::with_capacity(octets.len());
    let mut rest = octets.iter().copied();
    while let Some(octet) = rest.next() {
        let character = match octet {
            ESCAPE => match rest.next() {
                None | Some(ESCAPE) => ' ',
                Some(septet) => national.extended(septet).unwrap_or_else(|| national.main(septet)),
            },
            septet => national.main(septet),
        };
        units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
    }
    units
}

fn default_septet(character: char) -> Option<u8> {
    let code = character as usize;
    match LATIN.get(code) {
        Some(&septet) => Some(septet).filter(|septet| *septet != NONE),
        // What remains is Greek.
        None => (0x10..ESCAPE).find(|septet| DEFAULT[usize::from(*septet)] == character),
    }
}

fn septet(table: &[(u8, char)], wanted: char) -> Option<u8> {
    table
        .iter()
        .find(|(_, character)| *character == wanted)
        .map(|(septet, _)| *septet)
}

fn character(table: &[(u8, char)], wanted: u8) -> Option<char> {
    table
        .iter()
        .find(|(septet, _)| *septet == wanted)
        .map(|(_, character)| *character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LANGUAGES: [Option<Language>; 4] = [
        None,
        Some(Language::Turkish),
        Some(Language::Spanish),
        Some(Language::Portuguese),
    ];

    fn any_national() -> impl Strategy<Value = National> {
        (0..4_usize, 0..4_usize).prop_map(|(locking, single)| National {
            locking: LANGUAGES[locking],
            single: LANGUAGES[single],
        })
    }

    /// Every character that the tables can write.
    fn repertoire(national: National) -> Vec<char> {
        let main = (0..128)
            .filter(|septet| *septet != ESCAPE)
            .map(|septet| national.main(septet));
        main.chain((0..128).filter_map(|septet| national.extended(septet)))
            .collect()
    }

    fn read(octets: &[u8], national: National) -> String {
        String::from_utf16(&decode(octets, national)).unwrap()
    }

    #[test]
    fn septets_are_those_of_the_standard() {
        let septets = |text| encode(text, National::default()).unwrap();
        assert_eq!(septets("@Δ 0¡P¿p"), [0, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70]);
        assert_eq!(
            septets("å\rÉ/?O_oà"),
            [0x0f, 0x0d, 0x1f, 0x2f, 0x3f, 0x4f, 0x11, 0x6f, 0x7f]
        );
        assert_eq!(septets("[QC]"), [0x1b, 0x3c, 0x51, 0x43, 0x1b, 0x3e]);
        assert_eq!(
            septets("^{}\\~|€\u{c}"),
            [
                0x1b, 0x14, 0x1b, 0x28, 0x1b, 0x29, 0x1b, 0x2f, 0x1b, 0x3d, 0x1b, 0x40, 0x1b, 0x65, 0x1b, 0x0a
            ]
        );
    }

    #[test]
    fn only_seven_vietnamese_letters_are_in_the_default_alphabet() {
        let vowels = "aăâeêioôơuưyAĂÂEÊIOÔƠUƯY";
        let tones = ["", "\u{300}", "\u{301}", "\u{309}", "\u{303}", "\u{323}"];
        let mut accented: Vec<char> = vec!['đ', 'Đ'];
        for vowel in vowels.chars() {
            for tone in tones {
                let letter = unicode_normalization::UnicodeNormalization::nfc(format!("{vowel}{tone}").as_str())
                    .collect::<String>();
                assert_eq!(letter.chars().count(), 1, "{letter}");
                accented.extend(letter.chars().filter(|letter| !letter.is_ascii()));
            }
        }
        accented.retain(|letter| written(*letter, National::default()).is_some());
        accented.sort_unstable();
        assert_eq!(accented.iter().collect::<String>(), "Éàèéìòù");
    }

    #[test]
    fn what_is_unknown_is_read_leniently() {
        let read = |octets: &[u8]| read(octets, National::default());
        assert_eq!(read(&[0x1b, 0x41]), "A", "not in the extension: as in the main table");
        assert_eq!(read(&[0x41, 0x1b, 0x1b, 0x42]), "A B");
        assert_eq!(read(&[0x41, 0x1b]), "A ");
        assert_eq!(read(&[0x41, 0x80, 0x1b, 0xff]), "A\u{fffd}\u{fffd}");
    }

    #[test]
    fn national_tables_count_only_when_they_are_in_use() {
        let turkish = National {
            locking: Some(Language::Turkish),
            single: None,
        };
        let single = National {
            locking: None,
            single: Some(Language::Turkish),
        };
        assert_eq!(written('ş', National::default()), None);
        assert_eq!(written('ş', turkish), Some(Written::Plain(0x1d)));
        assert_eq!(written('ş', single), Some(Written::Escaped(0x73)));
        assert_eq!(written('æ', turkish), None, "its place is taken");
        assert_eq!(written('€', turkish), Some(Written::Plain(0x04)));
        assert_eq!(read(&[0x1d, 0x1b, 0x65], turkish), "ş€");
        assert_eq!(read(&[0x1d], National::default()), "æ");
        let portuguese = National {
            locking: Some(Language::Portuguese),
            single: Some(Language::Portuguese),
        };
        assert_eq!(read(&[0x7b, 0x1b, 0x7f, 0x1b, 0x18, 0x18], portuguese), "ãâΣ€");
        for language in LANGUAGES.into_iter().flatten() {
            assert_eq!(Language::of_identifier(language.identifier()), Some(language));
        }
        assert_eq!(Language::of_identifier(0), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(national in any_national(), picks in prop::collection::vec(any::<prop::sample::Index>(), 0..200)) {
            let repertoire = repertoire(national);
            let text: String = picks.iter().map(|pick| *pick.get(&repertoire)).collect();
            let septets = encode(&text, national).unwrap();
            prop_assert_eq!(read(&septets, national), text);
        }

        #[test]
        fn any_octets_are_read(national in any_national(), octets in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(decode(&octets, national).len() <= octets.len());
        }

        #[test]
        fn any_text_is_written_or_refused_at_the_right_place(national in any_national(), text in ".{0,40}") {
            match encode(&text, national) {
                Ok(septets) => prop_assert_eq!(read(&septets, national), text),
                Err(problem) => {
                    prop_assert_eq!(text.chars().nth(problem.position), Some(problem.character));
                    prop_assert_eq!(written(problem.character, national), None);
                }
            }
        }
    }
}
