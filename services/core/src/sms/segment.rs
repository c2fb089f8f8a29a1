//! What becomes of a text when it is sent as SMS: its alphabet, its SMS segments, its cost, and the characters that make
//! it expensive.
//!
//! An SMS holds 140 octets: 160 septets or 70 UCS-2 units. A longer text is cut; each SMS segment then carries a user data
//! header, which leaves 153 septets or 67 units (152 and 66 with a 16-bit reference). Text is NFC before it is counted:
//! decomposed Vietnamese would be a third longer.

mod compose;

pub(crate) use compose::after_label;

use super::alphabet::{self, Language, National};
use super::coding::Coding;
use super::price::Price;
use super::unaccent::unaccent;
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation as _;

/// Octets of user data in one SMS.
const OCTETS: usize = 140;
/// Most SMS segments of one message: their number is one octet of the header.
pub const MAX_SEGMENTS: usize = 255;
/// Most different characters told that force UCS-2.
pub const MAX_FOREIGN: usize = 32;

/// How a text is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Septets.
    Gsm7,
    /// Units of two octets.
    Ucs2,
}

/// The reference that ties the SMS segments of one message together.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Reference {
    /// Of one octet; what everybody understands.
    #[default]
    Bits8,
    /// Of two octets; for many long messages to one number at once.
    Bits16,
}

impl Reference {
    /// Octets of its information element.
    const fn header_octets(self) -> usize {
        match self {
            Self::Bits8 => 5,
            Self::Bits16 => 6,
        }
    }
}

/// How a text is to be sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Removes accents and replaces what is outside GSM-7.
    pub unaccented: bool,
    /// Put first and followed by a space, such as `[QC]` for advertising in Vietnam (Decree 91/2020); not doubled.
    pub label: Option<String>,
    /// Put last on a line of its own; not doubled.
    pub opt_out_line: Option<String>,
    /// Width of the reference of long messages.
    pub reference: Reference,
    /// National tables that the receiving side agreed to; used only where the default alphabet does not do.
    pub national: National,
    /// Units that the provider adds by itself, such as eSMS for advertising (38: 122, 268 and 421 are left).
    pub reserved: usize,
    /// Price of one SMS segment.
    pub price: Option<Price>,
    /// Most SMS segments that are allowed.
    pub max_segments: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            unaccented: false,
            label: None,
            opt_out_line: None,
            reference: Reference::default(),
            national: National::default(),
            reserved: 0,
            price: None,
            max_segments: MAX_SEGMENTS,
        }
    }
}

/// One SMS segment.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Segment {
    /// Its bytes in the plan's text.
    pub range: Range<usize>,
    /// Its characters (code points).
    pub characters: usize,
    /// Its septets or UCS-2 units, without header and reserve.
    pub units: usize,
}

/// A character that forces UCS-2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Foreign {
    /// Which one.
    pub character: char,
    /// Characters before its first occurrence.
    pub position: usize,
    /// How often it occurs.
    pub count: usize,
    /// What could be written instead; may be empty.
    pub instead: String,
}

/// More SMS segments than allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the text takes {segments} SMS segments; at most {maximum} are allowed")]
pub struct TooLong {
    /// What it takes.
    pub segments: usize,
    /// What is allowed.
    pub maximum: usize,
}

/// What becomes of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The text as it will be sent: NFC, unaccented if asked, with label and opt-out line.
    pub text: String,
    /// How it is written.
    pub encoding: Encoding,
    /// National tables in use; their information elements belong into the header.
    pub national: National,
    /// Characters (code points) of the text.
    pub characters: usize,
    /// Septets or UCS-2 units of the text.
    pub units: usize,
    /// Units that each SMS segment can hold.
    pub capacity: usize,
    /// Units that still fit into the last SMS segment.
    pub room: usize,
    /// The SMS segments in order; none of an empty text.
    pub segments: Vec<Segment>,
    /// The first different characters that force UCS-2, in order of appearance, at most [`MAX_FOREIGN`].
    pub foreign: Vec<Foreign>,
    /// Characters of the text that force UCS-2, all of them.
    pub foreign_characters: usize,
    /// Typographic characters that were replaced to be without accents.
    pub replaced: usize,
    /// Characters that became a question mark to be without accents.
    pub lost: usize,
    /// What all SMS segments cost.
    pub cost: Option<Price>,
    maximum: usize,
}

impl Plan {
    /// Plans a text. It is total: whether the plan is too long to be sent is told by [`Plan::check`].
    #[must_use]
    pub fn of(text: &str, options: &Options) -> Self {
        let mut text = compose::compose(text, options.label.as_deref(), options.opt_out_line.as_deref());
        let (mut replaced, mut lost) = (0, 0);
        if options.unaccented {
            let plain = unaccent(&text);
            (text, replaced, lost) = (plain.text, plain.replaced, plain.lost);
        }
        let written = tables(options.national)
            .filter_map(|national| Cut::of(&text, Measure::Gsm7(national), options))
            .min_by_key(|cut| cut.segments.len());
        // Always there: everything can be written as UCS-2.
        let cut = written
            .or_else(|| Cut::of(&text, Measure::Ucs2, options))
            .unwrap_or_default();
        let (foreign, foreign_characters) = match cut.measure {
            Measure::Gsm7(_) => (Vec::new(), 0),
            Measure::Ucs2 => foreign(&text, options.national),
        };
        Self {
            encoding: match cut.measure {
                Measure::Gsm7(_) => Encoding::Gsm7,
                Measure::Ucs2 => Encoding::Ucs2,
            },
            national: match cut.measure {
                Measure::Gsm7(national) => national,
                Measure::Ucs2 => National::default(),
            },
            characters: cut.segments.iter().map(|segment| segment.characters).sum(),
            units: cut.segments.iter().map(|segment| segment.units).sum(),
            capacity: cut.capacity,
            room: cut.capacity - cut.used,
            foreign,
            foreign_characters,
            replaced,
            lost,
            cost: options.price.as_ref().map(|price| price.times(cut.segments.len())),
            maximum: options.max_segments.min(MAX_SEGMENTS),
            segments: cut.segments,
            text,
        }
    }

    /// The texts of the SMS segments, in order; joined they are the text.
    pub fn texts(&self) -> impl ExactSizeIterator<Item = &str> {
        let text = |segment: &Segment| self.text.get(segment.range.clone()).unwrap_or_default();
        self.segments.iter().map(text)
    }

    /// How the text of an SMS segment becomes octets.
    #[must_use]
    pub const fn coding(&self) -> Coding {
        match self.encoding {
            Encoding::Gsm7 => Coding::Gsm7(self.national),
            Encoding::Ucs2 => Coding::Ucs2,
        }
    }

    /// Whether it may be sent.
    pub const fn check(&self) -> Result<(), TooLong> {
        let (segments, maximum) = (self.segments.len(), self.maximum);
        if segments > maximum {
            return Err(TooLong { segments, maximum });
        }
        Ok(())
    }
}

/// The combinations of national tables that may be used, the cheapest first.
fn tables(agreed: National) -> impl Iterator<Item = National> {
    // Spanish has no locking table.
    let locking = agreed.locking.filter(|language| *language != Language::Spanish);
    let single = agreed.single;
    let combinations = [
        (true, None, None),
        (single.is_some(), None, single),
        (locking.is_some(), locking, None),
        (single.is_some() && locking.is_some(), locking, single),
    ];
    let is_possible = |(is_possible, _, _): &(bool, _, _)| *is_possible;
    let national = |(_, locking, single)| National { locking, single };
    combinations.into_iter().filter(is_possible).map(national)
}

/// How units are counted.
#[derive(Clone, Copy, Default)]
enum Measure {
    Gsm7(National),
    #[default]
    Ucs2,
}

impl Measure {
    fn units(self, character: char) -> Option<usize> {
        match self {
            Self::Gsm7(national) => Some(alphabet::written(character, national)?.septets()),
            Self::Ucs2 => Some(character.len_utf16()),
        }
    }

    /// Units beside a user data header with so many octets of information elements; those of national tables come on top.
    const fn capacity(self, elements: usize) -> usize {
        let elements = match self {
            Self::Gsm7(national) => elements + national.header_octets(),
            Self::Ucs2 => elements,
        };
        // One octet says how long the header is.
        let octets = if elements == 0 { OCTETS } else { OCTETS - 1 - elements };
        match self {
            Self::Gsm7(_) => octets * 8 / 7,
            Self::Ucs2 => octets / 2,
        }
    }
}

/// A text cut into SMS segments.
#[derive(Default)]
struct Cut {
    measure: Measure,
    capacity: usize,
    segments: Vec<Segment>,
    open: Segment,
    /// Units of the open SMS segment, the reserve included.
    used: usize,
}

impl Cut {
    /// Cuts a text, if it can be measured in this way.
    fn of(text: &str, measure: Measure, options: &Options) -> Option<Self> {
        let single = measure.capacity(0);
        let reserved = options.reserved.min(MAX_SEGMENTS * single);
        let mut units = reserved;
        for character in text.chars() {
            units += measure.units(character)?;
        }
        let capacity = if units <= single {
            single
        } else {
            measure.capacity(options.reference.header_octets())
        };
        let mut cut = Self {
            measure,
            capacity,
            segments: Vec::with_capacity(units.div_ceil(capacity)),
            ..Self::default()
        };
        if text.is_empty() {
            return Some(cut);
        }
        cut.used = reserved;
        while cut.used > capacity {
            cut.used -= capacity;
            cut.segments.push(Segment::default());
        }
        for grapheme in text.graphemes(true) {
            cut.add(grapheme)?;
        }
        cut.segments.push(cut.open.clone());
        Some(cut)
    }

    /// Adds what a reader sees as one character. It is kept whole unless it is longer than an SMS segment.
    fn add(&mut self, grapheme: &str) -> Option<()> {
        let (mut units, mut characters) = (0, 0);
        for character in grapheme.chars() {
            units += self.measure.units(character)?;
            characters += 1;
        }
        if units <= self.capacity {
            self.place(grapheme.len(), characters, units);
            return Some(());
        }
        for character in grapheme.chars() {
            self.place(character.len_utf8(), 1, self.measure.units(character)?);
        }
        Some(())
    }

    fn place(&mut self, bytes: usize, characters: usize, units: usize) {
        if self.used + units > self.capacity {
            let end = self.open.range.end;
            let full = Segment {
                range: end..end,
                ..Segment::default()
            };
            self.segments.push(std::mem::replace(&mut self.open, full));
            self.used = 0;
        }
        self.open.range.end += bytes;
        self.open.characters += characters;
        self.open.units += units;
        self.used += units;
    }
}

/// The different characters outside the alphabet, and how many characters they are in all.
fn foreign(text: &str, national: National) -> (Vec<Foreign>, usize) {
    let mut found: Vec<Foreign> = Vec::new();
    let mut all = 0;
    let is_foreign =
        |character: char| tables(national).all(|national| alphabet::written(character, national).is_none());
    for (position, character) in text.chars().enumerate().filter(|(_, character)| is_foreign(*character)) {
        all += 1;
        if let Some(known) = found.iter_mut().find(|known| known.character == character) {
            known.count += 1;
        } else if found.len() < MAX_FOREIGN {
            found.push(Foreign {
                character,
                position,
                count: 1,
                instead: unaccent(character.encode_utf8(&mut [0; 4])).text,
            });
        }
    }
    (found, all)
}

#[cfg(test)]
mod tests;
