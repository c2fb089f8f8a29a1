//! What people fill in: the form that asks for name, phone number and address.

use super::super::settings::SubmittedPhone;
use super::super::wire::{Info, Text, said};
use super::message::nfc;
use super::who::told_phone;
use super::{Malformed, Translator, attachment::part, unsupported};
use omnigate_proto::v1::{Contact, Event, Evidence, Message, Profile, ProfileUpdate, event::Kind, part::Content};
use std::fmt::Write as _;

impl Translator<'_> {
    /// `user_submit_info` and `update_user_info`: the profile with what was told, and the filled-in form itself as a
    /// contact card, so that the address and the birthday are on the timeline too.
    pub(super) fn form(&self) -> Result<Vec<Event>, Malformed> {
        let beside = self.beside()?;
        let submitted = self.name() == "user_submit_info";
        let Some(info) = &beside.info else {
            return if submitted {
                Err(Malformed)
            } else {
                Ok(vec![self.without_shape()])
            };
        };
        let (name, phone) = (nfc(said(info.name.as_ref())), said(info.phone.as_ref()));
        let card = vcard(info, &name, phone);
        if card.is_none() {
            return Ok(vec![self.about_user(unsupported(self.name(), self.raw, ""))]);
        }
        let mut update = self.about_user(Kind::ProfileUpdate(ProfileUpdate::default()));
        if !name.is_empty() {
            update.profile = Some(Profile {
                display_name: name.clone(),
                ..Profile::default()
            });
        }
        let evidence = match self.submitted_phone {
            // What an administrator wrote down is no answer of the person's.
            SubmittedPhone::Verified if submitted => Evidence::Verified,
            SubmittedPhone::Verified | SubmittedPhone::Stated => Evidence::Stated,
        };
        update.identifiers.extend(told_phone(phone, evidence));
        if !submitted {
            // Nobody wrote; what has no place in a profile is kept beside it.
            let beside = self.about_user(unsupported(self.name(), self.raw, ""));
            return Ok(vec![update, beside]);
        }
        let mut written = self.about_user(Kind::Message(Message {
            parts: vec![part(Content::Contact(Contact {
                display_name: name,
                phone_numbers: Vec::from_iter((!phone.is_empty()).then(|| phone.to_owned())),
                vcard: card.unwrap_or_default(),
                identifier: update.peer.clone(),
                ..Contact::default()
            }))],
            ..Message::default()
        }));
        written.identifiers.clone_from(&update.identifiers);
        written.profile.clone_from(&update.profile);
        Ok(vec![update, written])
    }
}

/// The form as a card (RFC 2426); `None` when nothing was filled in.
fn vcard(info: &Info<'_>, name: &str, phone: &str) -> Option<String> {
    let full = info.full_address.as_ref();
    let either = |new: Option<&Text<'_>>, old: Option<&Text<'_>>| {
        let new = said(new);
        escaped(if new.is_empty() { said(old) } else { new })
    };
    let street = either(full.and_then(|full| full.user_address.as_ref()), info.address.as_ref());
    let ward = either(full.and_then(|full| full.user_ward.as_ref()), info.ward.as_ref());
    let city = either(full.and_then(|full| full.user_city.as_ref()), info.city.as_ref());
    let district = either(None, info.district.as_ref());
    let mut lines = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.trim_matches(';').is_empty() {
            write!(lines, "{name}:{value}\r\n").unwrap_or_default();
        }
    };
    line("TEL", &escaped(phone));
    // Of its seven places: the third is the street, the fourth the town, the fifth the region. A ward extends the street.
    let town = if district.is_empty() {
        city.clone()
    } else {
        district.clone()
    };
    let region = if district.is_empty() { String::new() } else { city };
    line("ADR", &format!(";{ward};{street};{town};{region};;"));
    line("BDAY", &escaped(&birthday(said(info.user_dob.as_ref()))));
    line("X-GENDER", &escaped(said(info.gender.as_ref())));
    if name.is_empty() && lines.is_empty() {
        return None;
    }
    let name = escaped(name);
    Some(format!(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nN:{name};;;;\r\nFN:{name}\r\n{lines}END:VCARD\r\n"
    ))
}

/// `DD/MM/YYYY` as the card wants it; anything else as it was written.
fn birthday(written: &str) -> String {
    let parts: Vec<&str> = written.split('/').collect();
    match parts.as_slice() {
        [day, month, year]
            if day.len() == 2
                && month.len() == 2
                && year.len() == 4
                && written.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/') =>
        {
            format!("{year}-{month}-{day}")
        }
        _ => written.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in nfc(text).chars() {
        match character {
            '\\' | ';' | ',' => safe.extend(['\\', character]),
            '\n' => safe.push_str("\\n"),
            control if control.is_control() => {}
            other => safe.push(other),
        }
    }
    safe
}
