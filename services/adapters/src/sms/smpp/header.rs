//! User data headers (3GPP TS 23.040, 9.2.3.24): the place of a piece in a long message, and tables of letters.

use omnigate_core::sms::alphabet::{Language, National};

/// Information elements read here.
mod element {
    pub(super) const CONCATENATED_8: u8 = 0x00;
    pub(super) const CONCATENATED_16: u8 = 0x08;
    pub(super) const SINGLE_SHIFT: u8 = 0x24;
    pub(super) const LOCKING_SHIFT: u8 = 0x25;
}

/// Place of a piece in a long message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    /// The same for all pieces of a message.
    pub(super) reference: u16,
    /// How many there are.
    pub(super) total: u8,
    /// Which one it is, from 1.
    pub(super) number: u8,
    /// How the reference is told; the same number told in another way is another one.
    pub(super) told: Told,
}

/// How the reference of a long message is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    /// By a header, in one octet.
    Octet,
    /// By a header, in two octets.
    TwoOctets,
    /// By optional parameters.
    Sar,
}

impl Place {
    /// A place that can be; a message of one piece has none.
    pub(super) fn checked(self) -> Option<Self> {
        (self.total > 1 && (1..=self.total).contains(&self.number)).then_some(self)
    }
}

/// What a header says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Header {
    /// Place in a long message.
    pub(super) place: Option<Place>,
    /// Tables of letters.
    pub(super) national: National,
}

/// Divides content into its header and what follows; `None` when the header is none: it, or an element of it, would be
/// longer than what there is.
pub(super) fn divide(content: &[u8]) -> Option<(Header, &[u8])> {
    let (length, behind) = content.split_first()?;
    let (mut elements, text) = behind.split_at_checked(usize::from(*length))?;
    let mut header = Header::default();
    while let [kind, length, rest @ ..] = elements {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        elements = rest;
        match (*kind, value) {
            (element::CONCATENATED_8, [reference, total, number]) => {
                header.place = Some(Place {
                    reference: u16::from(*reference),
                    total: *total,
                    number: *number,
                    told: Told::Octet,
                });
            }
            (element::CONCATENATED_16, [high, low, total, number]) => {
                header.place = Some(Place {
                    reference: u16::from_be_bytes([*high, *low]),
                    total: *total,
                    number: *number,
                    told: Told::TwoOctets,
                });
            }
            (element::SINGLE_SHIFT, [language]) => header.national.single = Language::of_identifier(*language),
            (element::LOCKING_SHIFT, [language]) => header.national.locking = Language::of_identifier(*language),
            // Ports and all the rest say nothing about the text.
            _ => {}
        }
    }
    header.place = header.place.and_then(Place::checked);
    elements.is_empty().then_some((header, text))
}

/// Writes the header of a piece of a long message, or of a text in national letters; empty when there is nothing to say.
pub(super) fn write(place: Option<Place>, national: National) -> Vec<u8> {
    let mut header = vec![0];
    if let Some(place) = place {
        let [high, low] = place.reference.to_be_bytes();
        match place.told {
            Told::TwoOctets => header.extend([element::CONCATENATED_16, 4, high, low]),
            Told::Octet | Told::Sar => header.extend([element::CONCATENATED_8, 3, low]),
        }
        header.extend([place.total, place.number]);
    }
    if let Some(language) = national.single {
        header.extend([element::SINGLE_SHIFT, 1, language.identifier()]);
    }
    if let Some(language) = national.locking {
        header.extend([element::LOCKING_SHIFT, 1, language.identifier()]);
    }
    // At most 12 octets.
    header[0] = u8::try_from(header.len() - 1).unwrap_or(u8::MAX);
    if header[0] == 0 {
        header.clear();
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(reference: u16, total: u8, number: u8, told: Told) -> Place {
        Place {
            reference,
            total,
            number,
            told,
        }
    }

    fn place_of(content: &[u8]) -> Option<Place> {
        divide(content).unwrap().0.place
    }

    #[test]
    fn places_are_found_among_other_elements() {
        assert_eq!(
            place_of(b"\x05\x00\x03\x2a\x03\x02text"),
            Some(place(42, 3, 2, Told::Octet))
        );
        assert_eq!(
            place_of(b"\x06\x08\x04\x01\x2a\x02\x01"),
            Some(place(298, 2, 1, Told::TwoOctets))
        );
        let ports = b"\x0b\x05\x04\x0b\x84\x23\xf0\x00\x03\x01\x02\x02text";
        assert_eq!(place_of(ports), Some(place(1, 2, 2, Told::Octet)));
        assert_eq!(divide(ports).unwrap().1, b"text");
    }

    #[test]
    fn a_message_of_one_piece_and_impossible_places_are_whole() {
        for udh in [
            b"\x05\x00\x03\x2a\x01\x01text",
            b"\x05\x00\x03\x2a\x00\x00text",
            b"\x05\x00\x03\x2a\x02\x03text",
            b"\x05\x00\x03\x2a\x02\x00text",
        ] {
            let (header, text) = divide(udh).unwrap();
            assert_eq!((header.place, text), (None, b"text".as_slice()));
        }
    }

    #[test]
    fn tables_of_letters_are_told() {
        let (header, text) = divide(b"\x06\x24\x01\x01\x25\x01\x01abc").unwrap();
        assert_eq!(header.national.single, Language::of_identifier(1));
        assert_eq!(header.national.locking, Language::of_identifier(1));
        assert_eq!(text, b"abc");
    }

    #[test]
    fn what_is_longer_than_it_can_be_is_no_header() {
        for content in [
            b"".as_slice(),
            b"\x05\x00\x03",
            b"\x05\x00\x09\x01\x02\x01text",
            b"\x01\x00text",
            b"hello",
        ] {
            assert_eq!(divide(content), None, "{content:?}");
        }
    }

    proptest! {
        #[test]
        fn reading_is_total(content in prop::collection::vec(any::<u8>(), 0..200)) {
            divide(&content);
        }

        #[test]
        fn what_is_written_is_read(
            reference: u16,
            total in 2..=255_u8,
            number in 1..=255_u8,
            wide: bool,
            single in 0..4_u8,
            locking in 0..4_u8,
        ) {
            prop_assume!(number <= total);
            let told = if wide { Told::TwoOctets } else { Told::Octet };
            let reference = if wide { reference } else { reference & 0xff };
            let national = National {
                single: Language::of_identifier(single),
                locking: Language::of_identifier(locking),
            };
            for place in [None, Some(place(reference, total, number, told))] {
                let written = write(place, national);
                let expected = Header { place, national };
                if expected == Header::default() {
                    prop_assert!(written.is_empty());
                } else {
                    prop_assert_eq!(divide(&written), Some((expected, [].as_slice())));
                }
            }
        }
    }
}
