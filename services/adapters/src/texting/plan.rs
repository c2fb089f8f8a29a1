//! A message as the text of an SMS.

use super::{content_error, plain::plain, settings::TextSettings};
use omnigate_core::sms::alphabet::National;
use omnigate_core::sms::segment::{MAX_SEGMENTS, Options, Plan};
use omnigate_proto::v1::{
    Choice, Contact, Link, Location, Media, Message, Purpose, SendError, Text, TextFormat, part::Content,
};

/// What a provider can carry.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Rules {
    /// Pictures and the like that one message may have (MMS); 0 for none.
    pub(crate) media: usize,
    /// Units that the provider adds to the text by itself.
    pub(crate) reserved: usize,
    /// National tables of letters that both sides agreed to.
    pub(crate) national: National,
}

/// What is sent.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Planned<'a> {
    /// The text, its SMS segments and what they cost.
    pub(crate) plan: Plan,
    /// Media beside it, in order.
    pub(crate) media: Vec<&'a Media>,
}

/// Plans a message: its parts joined by line breaks, links as text, label and opt-out line on advertising. Errors are of
/// class CONTENT.
pub(crate) fn plan<'a>(message: &'a Message, settings: &TextSettings, rules: Rules) -> Result<Planned<'a>, SendError> {
    let mut lines = Vec::new();
    let mut media = Vec::new();
    lines.push(message.subject.clone());
    for part in &message.parts {
        match &part.content {
            None => {}
            Some(Content::Text(text)) => lines.push(words(text)),
            Some(Content::Link(link)) => lines.extend(link_lines(link)),
            Some(Content::Location(location)) => lines.push(place(location)),
            Some(Content::Contact(contact)) => lines.push(card(contact)),
            Some(Content::Sticker(sticker)) if !sticker.emoji.is_empty() => lines.push(sticker.emoji.clone()),
            Some(Content::Media(found)) if rules.media > 0 => {
                media.push(found);
                lines.push(found.caption.clone());
            }
            Some(Content::Media(_)) => return Err(content_error("an SMS cannot carry media; send a link to it")),
            Some(Content::Sticker(_)) => return Err(content_error("an SMS cannot carry a sticker")),
            Some(Content::Template(_)) => {
                return Err(content_error("templates of this provider cannot be sent as SMS"));
            }
            Some(Content::InfoRequest(_)) => return Err(content_error("an SMS cannot carry a form")),
        }
    }
    lines.extend(message.choices.iter().map(choice));
    lines.retain(|line| !line.trim().is_empty());
    if media.len() > rules.media {
        return Err(content_error(format!(
            "the message has {} media, at most {} go at once",
            media.len(),
            rules.media
        )));
    }
    if lines.is_empty() && media.is_empty() {
        return Err(content_error("there is nothing to send"));
    }
    let plan = Plan::of(&lines.join("\n"), &options(message.purpose(), settings, rules));
    // Only the text of an SMS is cut; an MMS carries it whole.
    if media.is_empty() {
        plan.check().map_err(|error| content_error(error.to_string()))?;
    }
    Ok(Planned { plan, media })
}

fn options(purpose: Purpose, settings: &TextSettings, rules: Rules) -> Options {
    let advertises = purpose == Purpose::Marketing;
    Options {
        unaccented: settings.unaccented,
        label: settings.label.clone().filter(|_| advertises),
        opt_out_line: settings.opt_out_line.clone().filter(|_| advertises),
        reserved: rules.reserved,
        national: rules.national,
        price: settings.cost_per_segment.clone(),
        max_segments: settings.max_segments.min(MAX_SEGMENTS),
        ..Options::default()
    }
}

fn words(text: &Text) -> String {
    match text.format() {
        TextFormat::Html => plain(&text.text),
        TextFormat::Plain | TextFormat::Unspecified => text.text.clone(),
    }
}

fn link_lines(link: &Link) -> [String; 2] {
    [link.title.clone(), link.url.clone()]
}

fn place(location: &Location) -> String {
    let names = [&location.title, &location.address];
    let mut named: Vec<String> = names
        .into_iter()
        .filter(|name| !name.trim().is_empty())
        .cloned()
        .collect();
    named.push(format!("({:.6}, {:.6})", location.latitude, location.longitude));
    named.join(", ")
}

fn card(contact: &Contact) -> String {
    let values = contact.phone_numbers.iter().chain(&contact.email_addresses);
    let all: Vec<&str> = [contact.display_name.as_str()]
        .into_iter()
        .chain(values.map(String::as_str))
        .filter(|value| !value.trim().is_empty())
        .collect();
    all.join(", ")
}

/// Nobody can press a button in an SMS, but the words can be read, and links and numbers can be tapped.
fn choice(choice: &Choice) -> String {
    let target = if choice.url.is_empty() {
        &choice.phone
    } else {
        &choice.url
    };
    match (choice.label.trim(), target.trim()) {
        (label, "") => label.to_owned(),
        ("", target) => target.to_owned(),
        (label, target) => format!("{label}: {target}"),
    }
}

#[cfg(test)]
mod tests;
