//! What is wrong with a definition, before anything depends on it.

use super::ready::{Failed, Fault, Ready, Recipient, Refusal, sources};
use super::syntax::{Place, look};
use super::value;
use super::{MAX_DEFINITION, MAX_TEXT, MAX_VARIABLES, MAX_VARIANTS, locale};
use crate::details::name_problem;
use jiff::tz::TimeZone;
use omnigate_proto::v1::template_variable::WhenMissing;
use omnigate_proto::v1::template_variant::Content;
use omnigate_proto::v1::{
    Purpose, RichTemplate, TemplateDefinition, TemplateNotice, TemplateVariable, TemplateVariableType as Type,
    TemplateVariant,
};
use prost::Message as _;
use std::collections::{BTreeMap, BTreeSet};

/// Most mistakes and most warnings told.
const MAX_NOTICES: usize = 100;
/// Longest name for people, in characters.
const MAX_NAME: usize = 256;
/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 512;
/// Longest kind of channel, and longest id of a provider's template, in bytes.
const MAX_WORD: usize = 64;
/// Most parts of a variant.
const MAX_PARTS: usize = 16;
/// Most choices of a variant, and most parameters of a provider's template.
const MAX_LIST: usize = 64;
/// Most SMS segments that can be asked for.
const MAX_SEGMENTS: u32 = 255;

/// What was found.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Checked {
    /// With any of these the definition is not taken.
    pub mistakes: Vec<TemplateNotice>,
    /// What may be meant so.
    pub warnings: Vec<TemplateNotice>,
}

/// Checks a definition.
#[must_use]
pub fn check(definition: &TemplateDefinition) -> Checked {
    let mut checking = Checking::default();
    if definition.encoded_len() > MAX_DEFINITION {
        let what = format!("is larger than {} KiB", MAX_DEFINITION / 1024);
        checking.wrong("definition", &what);
        return checking.found;
    }
    checking.head(definition);
    let names = checking.variables(&definition.variables);
    checking.variants(&definition.variants);
    let mut used = BTreeSet::new();
    for (index, variant) in definition.variants.iter().enumerate().take(MAX_VARIANTS) {
        used.extend(checking.texts(index, variant, &names));
    }
    if checking.found.mistakes.is_empty() {
        checking.trial(definition);
        for (index, variable) in definition.variables.iter().enumerate() {
            if !used.contains(&variable.name) {
                checking.warn(
                    &format!("variables[{index}]"),
                    format!("no text uses {:?}", variable.name),
                );
            }
        }
    }
    checking.found
}

#[derive(Default)]
struct Checking {
    found: Checked,
    /// Variant that is looked at, for people.
    variant: String,
}

impl Checking {
    fn notice(&self, field: &str, place: Place, text: String) -> TemplateNotice {
        TemplateNotice {
            field: field.to_owned(),
            variant: self.variant.clone(),
            line: place.line,
            column: place.column,
            text,
        }
    }

    fn wrong_at(&mut self, field: &str, place: Place, text: String) {
        if self.found.mistakes.len() < MAX_NOTICES {
            let notice = self.notice(field, place, text);
            self.found.mistakes.push(notice);
        }
    }

    fn wrong(&mut self, field: &str, text: impl Into<String>) {
        self.wrong_at(field, Place::default(), text.into());
    }

    fn warn(&mut self, field: &str, text: impl Into<String>) {
        if self.found.warnings.len() < MAX_NOTICES {
            let notice = self.notice(field, Place::default(), text.into());
            self.found.warnings.push(notice);
        }
    }

    fn head(&mut self, definition: &TemplateDefinition) {
        let name = definition.display_name.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME {
            self.wrong("display_name", "must have 1 to 256 characters");
        }
        if definition.purpose() == Purpose::Unspecified {
            self.wrong("purpose", "must be SERVICE or MARKETING");
        }
        if definition.variables.len() > MAX_VARIABLES {
            self.wrong("variables", format!("must be at most {MAX_VARIABLES}"));
        }
        if !(1..=MAX_VARIANTS).contains(&definition.variants.len()) {
            self.wrong("variants", format!("must be 1 to {MAX_VARIANTS}"));
        }
    }

    fn variables<'a>(&mut self, variables: &'a [TemplateVariable]) -> BTreeSet<&'a str> {
        let mut names = BTreeSet::new();
        for (index, variable) in variables.iter().enumerate().take(MAX_VARIABLES) {
            let field = format!("variables[{index}]");
            if let Some(problem) = name_problem(&variable.name) {
                self.wrong(&format!("{field}.name"), problem);
            }
            if !names.insert(variable.name.as_str()) {
                self.wrong(&format!("{field}.name"), format!("{:?} is there twice", variable.name));
            }
            self.variable(&field, variable);
        }
        names
    }

    fn variable(&mut self, field: &str, variable: &TemplateVariable) {
        if variable.r#type() == Type::Unspecified {
            self.wrong(&format!("{field}.type"), "must be set");
            return;
        }
        let is_currency =
            variable.currency.len() == 3 && variable.currency.bytes().all(|byte| byte.is_ascii_uppercase());
        match variable.r#type() {
            Type::Money if !is_currency => {
                self.wrong(
                    &format!("{field}.currency"),
                    "must be three letters of ISO 4217, such as VND",
                );
            }
            Type::Money => {}
            _ if !variable.currency.is_empty() => self.wrong(&format!("{field}.currency"), "is only for MONEY"),
            _ => {}
        }
        let may_be_empty = variable.r#type() == Type::Text;
        match &variable.when_missing {
            Some(WhenMissing::Required(true)) => {}
            Some(WhenMissing::Required(false)) => {
                self.wrong(
                    &format!("{field}.required"),
                    "can only be true; else give default_value",
                );
            }
            Some(WhenMissing::DefaultValue(default)) if default.is_empty() && may_be_empty => {}
            Some(WhenMissing::DefaultValue(default)) => {
                if let Err(problem) = value::read(variable, default) {
                    self.wrong(&format!("{field}.default_value"), problem.to_string());
                }
            }
            None => self.wrong(field, "needs `required` or `default_value`"),
        }
        if !variable.sample.is_empty()
            && let Err(problem) = value::read(variable, &variable.sample)
        {
            self.wrong(&format!("{field}.sample"), problem.to_string());
        }
        if variable.description.chars().count() > MAX_DESCRIPTION {
            self.wrong(&format!("{field}.description"), "must be at most 512 characters");
        }
    }

    fn variants(&mut self, variants: &[TemplateVariant]) {
        let mut pairs = BTreeSet::new();
        for (index, variant) in variants.iter().enumerate().take(MAX_VARIANTS) {
            let field = format!("variants[{index}]");
            if !locale::is_tag(&variant.locale) {
                self.wrong(&format!("{field}.locale"), "must be a language tag such as vi or en-GB");
            }
            let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
            if !(1..=MAX_WORD).contains(&variant.channel.len()) || !variant.channel.bytes().all(is_word) {
                self.wrong(&format!("{field}.channel"), "must be 1 to 64 of a-z, 0-9, _ and -");
            }
            if !pairs.insert((variant.locale.to_ascii_lowercase(), &variant.channel)) {
                let what = format!("{} on {} is there twice", variant.locale, variant.channel);
                self.wrong(&field, what);
            }
            self.content(&field, variant);
        }
    }

    fn content(&mut self, field: &str, variant: &TemplateVariant) {
        let belongs = match (&variant.content, variant.channel.as_str()) {
            (Some(Content::Sms(_)), "sms") | (Some(Content::Email(_)), "email") => true,
            (Some(Content::Rich(_)), channel) => !matches!(channel, "sms" | "email"),
            _ => false,
        };
        if !belongs {
            let what = "must be `sms` on sms, `email` on email and `rich` on every other channel";
            self.wrong(field, what);
            return;
        }
        match &variant.content {
            Some(Content::Sms(sms)) => {
                if sms.text.trim().is_empty() {
                    self.wrong(&format!("{field}.sms.text"), "is empty");
                }
                if sms.max_segments > MAX_SEGMENTS {
                    self.wrong(&format!("{field}.sms.max_segments"), "must be at most 255");
                }
            }
            Some(Content::Email(email)) => {
                if email.subject.trim().is_empty() {
                    self.wrong(&format!("{field}.email.subject"), "is empty");
                }
                if email.html.trim().is_empty() && email.text.trim().is_empty() {
                    self.wrong(&format!("{field}.email"), "needs html or text");
                }
            }
            Some(Content::Rich(rich)) => self.rich(field, rich),
            None => {}
        }
    }

    fn rich(&mut self, field: &str, rich: &RichTemplate) {
        if rich.parts.is_empty() && rich.provider_template.is_none() {
            self.wrong(&format!("{field}.rich"), "needs parts or provider_template");
        }
        if rich.parts.len() > MAX_PARTS {
            self.wrong(&format!("{field}.rich.parts"), format!("must be at most {MAX_PARTS}"));
        }
        for (index, part) in rich.parts.iter().enumerate().take(MAX_PARTS) {
            if part.content.is_none() {
                self.wrong(&format!("{field}.rich.parts[{index}]"), "has no content");
            }
        }
        if rich.choices.len() > MAX_LIST {
            self.wrong(&format!("{field}.rich.choices"), format!("must be at most {MAX_LIST}"));
        }
        if rich.parts.is_empty() && !rich.choices.is_empty() {
            self.wrong(&format!("{field}.rich.choices"), "are only for parts");
        }
        for (index, choice) in rich.choices.iter().enumerate().take(MAX_LIST) {
            if choice.label.trim().is_empty() {
                self.wrong(&format!("{field}.rich.choices[{index}].label"), "is empty");
            }
        }
        if let Some(used) = &rich.provider_template {
            let field = format!("{field}.rich.provider_template");
            if !(1..=MAX_WORD).contains(&used.template_id.len()) {
                self.wrong(&format!("{field}.template_id"), "must be 1 to 64 bytes");
            }
            if used.parameters.len() > MAX_LIST {
                self.wrong(&format!("{field}.parameters"), format!("must be at most {MAX_LIST}"));
            }
            if rich.parts.is_empty() && !used.phone.is_empty() {
                let what = "is only for a template that stands in for parts";
                self.wrong(&format!("{field}.phone"), what);
            }
        }
    }

    /// Looks at the texts of a variant; gives the variables that they use.
    fn texts(&mut self, index: usize, variant: &TemplateVariant, names: &BTreeSet<&str>) -> BTreeSet<String> {
        self.variant = format!("{}/{}", variant.locale, variant.channel);
        let mut used = BTreeSet::new();
        for source in sources(index, variant) {
            if source.text.len() > MAX_TEXT {
                self.wrong(&source.field, format!("is longer than {MAX_TEXT} bytes"));
                continue;
            }
            let found = look(source.text, names);
            used.extend(found.used);
            for (place, what) in found.mistakes {
                self.wrong_at(&source.field, place, what);
            }
        }
        self.variant.clear();
        used
    }

    /// Says every variant once with samples: what fails for everybody is found now, and not when a campaign runs.
    fn trial(&mut self, definition: &TemplateDefinition) {
        let ready = match Ready::new(definition.clone()) {
            Ok(ready) => ready,
            Err(not_ready) => return self.wrong(&not_ready.field, not_ready.problem),
        };
        let values = ready.with_samples(&BTreeMap::new());
        for (index, variant) in definition.variants.iter().enumerate() {
            self.variant = format!("{}/{}", variant.locale, variant.channel);
            let recipient = Recipient {
                locale: &variant.locale,
                zone: &TimeZone::UTC,
                values: &values,
            };
            match ready.try_variant(index, recipient) {
                Ok(_) => {}
                Err(Failed::Fault(fault)) => self.failed(&fault),
                Err(Failed::Refused(Refusal::TooLong(long))) => {
                    self.warn(&format!("variants[{index}]"), format!("with sample values, {long}"));
                }
                Err(Failed::Refused(refusal)) => self.wrong(&format!("variants[{index}]"), refusal.to_string()),
            }
        }
        self.variant.clear();
    }

    fn failed(&mut self, fault: &Fault) {
        let detail = match fault.detail.as_str() {
            "" => fault.problem,
            detail => detail,
        };
        self.wrong_at(&fault.field, fault.place, format!("with sample values: {detail}"));
    }
}
