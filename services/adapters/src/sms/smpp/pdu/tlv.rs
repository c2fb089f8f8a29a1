//! Optional parameters (SMPP 3.4, 5.3).

/// Tags.
pub(in super::super) mod tag {
    pub(in super::super::super) const RECEIPTED_MESSAGE_ID: u16 = 0x001e;
    pub(in super::super::super) const USER_MESSAGE_REFERENCE: u16 = 0x0204;
    pub(in super::super::super) const SOURCE_PORT: u16 = 0x020a;
    pub(in super::super::super) const DESTINATION_PORT: u16 = 0x020b;
    pub(in super::super::super) const SAR_MSG_REF_NUM: u16 = 0x020c;
    pub(in super::super::super) const SAR_TOTAL_SEGMENTS: u16 = 0x020e;
    pub(in super::super::super) const SAR_SEGMENT_SEQNUM: u16 = 0x020f;
    pub(in super::super::super) const MS_AVAILABILITY_STATUS: u16 = 0x0422;
    pub(in super::super::super) const NETWORK_ERROR_CODE: u16 = 0x0423;
    pub(in super::super::super) const MESSAGE_PAYLOAD: u16 = 0x0424;
    pub(in super::super::super) const MESSAGE_STATE: u16 = 0x0427;
}

/// The optional parameters of a PDU, unchecked: tag, length and value, one after the other. One that is cut has the octets
/// that are there; NULs behind the last one are none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(in super::super) struct Tlvs<'a>(&'a [u8]);

impl<'a> Tlvs<'a> {
    pub(super) const fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// Value of the first one with a tag.
    pub(in super::super) fn get(self, tag: u16) -> Option<&'a [u8]> {
        self.iter().find(|(found, _)| *found == tag).map(|(_, value)| value)
    }

    /// A number of one to four octets, however many of them are written.
    pub(in super::super) fn number(self, tag: u16) -> Option<u32> {
        let value = self.get(tag)?;
        let fits = (1..=4).contains(&value.len());
        fits.then(|| value.iter().fold(0, |number, octet| number << 8 | u32::from(*octet)))
    }

    /// A text with or without its NUL; `None` when it is empty.
    pub(in super::super) fn text(self, tag: u16) -> Option<&'a [u8]> {
        let text = self.get(tag)?.split(|octet| *octet == 0).next()?;
        (!text.is_empty()).then_some(text)
    }

    fn iter(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (head, behind) = rest.split_first_chunk::<4>()?;
            let tag = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (value, behind) = behind.split_at(length.min(behind.len()));
            rest = behind;
            Some((tag, value))
        })
    }
}
