//! The limits that SMPP 3.4 sets to a message, and the one that the air interface sets.

use super::{
    coding::{Alphabet, alphabet},
    pdu::{Address, ShortMessage, command, tag},
    pieces, status,
};

/// Octets that one message carries over the air.
const AIR_OCTETS: usize = 140;
/// The most of `short_message`; what is longer belongs into `message_payload`.
const LONGEST_SHORT_MESSAGE: usize = 254;
/// GSM 03.38: what a network shows of an alphanumeric sender.
const LONGEST_NAME: usize = 11;

/// Whether an SMSC takes `message`; the error is the `command_status` that says why not.
pub(super) fn check(command: u32, message: &ShortMessage, one_piece: bool) -> Result<(), u32> {
    check_addresses(&message.source, &message.destination)?;
    check_flags(message)?;
    check_time(&message.schedule_delivery_time, status::RINVSCHED)?;
    check_time(&message.validity_period, status::RINVEXPIRY)?;
    check_tlvs(message)?;
    let payload = message.tlv(tag::MESSAGE_PAYLOAD);
    if payload.is_some() && !message.short_message.is_empty() {
        return Err(status::ROPTPARNOTALLWD);
    }
    if command == command::DATA_SM && payload.is_none() {
        return Err(status::RMISSINGOPTPARAM);
    }
    if message.short_message.len() > LONGEST_SHORT_MESSAGE {
        return Err(status::RINVMSGLEN);
    }
    let header = pieces::header_length(message).ok_or(status::RINVMSGLEN)?;
    // The SMSC cuts a payload itself.
    if one_piece && payload.is_none() && !fits_one_piece(message, header) {
        return Err(status::RINVMSGLEN);
    }
    Ok(())
}

fn fits_one_piece(message: &ShortMessage, header: usize) -> bool {
    let text = message.octets().len() - header;
    let room = AIR_OCTETS.saturating_sub(header);
    match alphabet(message.data_coding) {
        Alphabet::Gsm7 | Alphabet::Ascii => text <= room * 8 / 7,
        Alphabet::Latin1 | Alphabet::Ucs2 | Alphabet::Octets => text <= room,
    }
}

fn check_addresses(source: &Address, destination: &Address) -> Result<(), u32> {
    let known_npi = |npi: u8| matches!(npi, 0 | 1 | 3 | 4 | 6 | 8 | 9 | 10 | 14 | 18);
    if source.ton > 6 {
        return Err(status::RINVSRCTON);
    }
    if !known_npi(source.npi) {
        return Err(status::RINVSRCNPI);
    }
    if destination.ton > 6 || destination.ton == 5 {
        return Err(status::RINVDSTTON);
    }
    if !known_npi(destination.npi) {
        return Err(status::RINVDSTNPI);
    }
    let digits = |address: &str| {
        let digits = address.strip_prefix('+').unwrap_or(address);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    // An absent source means the account's own.
    let named = source.ton == 5 && !source.address.is_empty() && source.address.len() <= LONGEST_NAME;
    if !named && !source.address.is_empty() && (source.ton == 5 || source.ton == 1 && !digits(&source.address)) {
        return Err(status::RINVSRCADR);
    }
    if !digits(&destination.address) {
        return Err(status::RINVDSTADR);
    }
    Ok(())
}

fn check_flags(message: &ShortMessage) -> Result<(), u32> {
    if message.priority_flag > 3 {
        return Err(status::RINVPRTFLG);
    }
    if message.replace_if_present_flag > 1 {
        return Err(status::RINVREPFLAG);
    }
    if message.registered_delivery & 0xE0 != 0 || message.registered_delivery & 3 == 3 {
        return Err(status::RINVREGDLVFLG);
    }
    Ok(())
}

/// `YYMMDDhhmmsstnnp`, or nothing.
fn check_time(time: &str, wrong: u32) -> Result<(), u32> {
    let whole = time.len() == 16
        && time.bytes().take(15).all(|byte| byte.is_ascii_digit())
        && matches!(time.bytes().last(), Some(b'+' | b'-' | b'R'));
    if time.is_empty() || whole { Ok(()) } else { Err(wrong) }
}

fn check_tlvs(message: &ShortMessage) -> Result<(), u32> {
    for tlv in &message.tlvs {
        let length = match tlv.tag {
            tag::SAR_TOTAL_SEGMENTS | tag::SAR_SEGMENT_SEQNUM | tag::MORE_MESSAGES_TO_SEND => 1,
            tag::SAR_MSG_REF_NUM | tag::USER_MESSAGE_REFERENCE | tag::SOURCE_PORT | tag::DESTINATION_PORT => 2,
            _ => continue,
        };
        if tlv.value.len() != length {
            return Err(status::RINVPARLEN);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::pdu::Tlv, *};
    use bytes::Bytes;

    type Case<'a> = (&'a dyn Fn(&mut ShortMessage), u32);

    fn message(data_coding: u8, length: usize) -> ShortMessage {
        ShortMessage {
            source: Address::of("OMNIGATE"),
            destination: Address::of("84912345678"),
            data_coding,
            short_message: Bytes::from(vec![b'a'; length]),
            ..ShortMessage::default()
        }
    }

    fn checked(change: impl FnOnce(&mut ShortMessage)) -> Result<(), u32> {
        let mut message = message(0, 3);
        change(&mut message);
        check(command::SUBMIT_SM, &message, true)
    }

    #[test]
    fn one_piece_is_what_the_air_carries() {
        for (data_coding, longest) in [(0, 160), (3, 140), (4, 140), (8, 140)] {
            assert_eq!(check(command::SUBMIT_SM, &message(data_coding, longest), true), Ok(()));
            let longer = message(data_coding, longest + 1);
            assert_eq!(check(command::SUBMIT_SM, &longer, true), Err(status::RINVMSGLEN));
            assert_eq!(check(command::SUBMIT_SM, &longer, false), Ok(()));
        }
        let longest = message(0, 255);
        assert_eq!(check(command::SUBMIT_SM, &longest, false), Err(status::RINVMSGLEN));
        for (header, text, taken) in [
            (&[5, 0, 3, 1, 2, 1][..], 153, true),
            (&[5, 0, 3, 1, 2, 1][..], 154, false),
            (&[6, 8, 4, 0, 1, 2, 1][..], 152, true),
            (&[6, 8, 4, 0, 1, 2, 1][..], 153, false),
        ] {
            let octets = [header, &vec![b'a'; text]].concat();
            let result = checked(|message| {
                message.esm_class = 0x40;
                message.short_message = octets.into();
            });
            assert_eq!(result.is_ok(), taken, "{text}");
        }
    }

    #[test]
    fn every_limit_has_its_own_answer() {
        let cases: [Case<'_>; 15] = [
            (&|message| message.source.ton = 7, status::RINVSRCTON),
            (&|message| message.source.npi = 2, status::RINVSRCNPI),
            (
                &|message| message.source.address = "TWELVELETTER".to_owned(),
                status::RINVSRCADR,
            ),
            (&|message| message.destination.ton = 5, status::RINVDSTTON),
            (&|message| message.destination.npi = 2, status::RINVDSTNPI),
            (&|message| message.destination.address.clear(), status::RINVDSTADR),
            (
                &|message| message.destination.address = "84 91".to_owned(),
                status::RINVDSTADR,
            ),
            (&|message| message.priority_flag = 4, status::RINVPRTFLG),
            (&|message| message.replace_if_present_flag = 2, status::RINVREPFLAG),
            (&|message| message.registered_delivery = 3, status::RINVREGDLVFLG),
            (&|message| message.validity_period = "1".to_owned(), status::RINVEXPIRY),
            (
                &|message| message.schedule_delivery_time = "2611231200000000".to_owned(),
                status::RINVSCHED,
            ),
            (
                &|message| message.tlvs = vec![Tlv::new(tag::SAR_MSG_REF_NUM, &b"1"[..])],
                status::RINVPARLEN,
            ),
            (
                &|message| message.tlvs = vec![Tlv::new(tag::MESSAGE_PAYLOAD, &b"1"[..])],
                status::ROPTPARNOTALLWD,
            ),
            (&|message| message.esm_class = 0x40, status::RINVMSGLEN),
        ];
        for (number, (change, expected)) in cases.into_iter().enumerate() {
            assert_eq!(checked(change), Err(expected), "{number}");
        }
        assert_eq!(
            checked(|message| message.validity_period = "000001000000000R".to_owned()),
            Ok(())
        );
        assert_eq!(
            check(command::DATA_SM, &message(0, 0), true),
            Err(status::RMISSINGOPTPARAM)
        );
    }
}
