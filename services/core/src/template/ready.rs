//! A template made ready, and what it says to somebody.

mod content;
mod refusal;

use super::filters::{ESCAPED, SETTING, environment};
use super::syntax::{Place, look};
use super::value::{self, Setting, example};
use super::wording::Wording;
use super::{MAX_TEXT, locale};
use crate::event;
use crate::id::hash;
use crate::sms::segment::Plan;
use crate::time::Moment;
use content::content;
pub(super) use content::sources;
use jiff::tz::TimeZone;
use minijinja::value::{Object, Value};
use minijinja::{Environment, ErrorKind};
use omnigate_proto::v1::attribute_value::Kind;
use omnigate_proto::v1::template_variable::WhenMissing;
use omnigate_proto::v1::{AttributeValue, Customer, Message, TemplateDefinition, TemplateVariable, TemplateVariant};
use prost::Message as _;
pub use refusal::Refusal;
pub(super) use refusal::{Failed, Fault};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;

/// A text that was taken as a template and is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct NotReady {
    /// Field of the definition.
    pub field: String,
    /// What is wrong.
    pub problem: String,
}

/// Somebody to whom a template says something.
#[derive(Clone, Copy, Debug)]
pub struct Recipient<'a> {
    /// Their language, BCP 47; may be empty.
    pub locale: &'a str,
    /// Their time zone.
    pub zone: &'a TimeZone,
    /// What is known of them, by name of variable.
    pub values: &'a BTreeMap<String, String>,
}

/// What a template says to somebody.
#[derive(Clone, PartialEq, Debug)]
pub struct Rendered {
    /// Number of the variant in the definition, from 0.
    pub variant: usize,
    /// It.
    pub message: Message,
    /// SHA-256 over it.
    pub hash: [u8; 32],
    /// Its SMS segments, without what an account adds; only on `sms`.
    pub plan: Option<Plan>,
}

/// A text of a variant.
pub(super) struct Source<'a> {
    /// Where it stands in the definition.
    pub(super) field: String,
    pub(super) text: &'a str,
    /// Whether values are escaped for HTML.
    pub(super) is_html: bool,
}

impl Source<'_> {
    /// Name under which it is kept ready.
    fn name(&self) -> String {
        format!("{}{}", self.field, if self.is_html { ESCAPED } else { "" })
    }
}

/// A template that can say something: its texts are parsed.
#[derive(Debug)]
pub struct Ready {
    definition: TemplateDefinition,
    environment: Environment<'static>,
    /// Names of the variables that each variant uses.
    used: Vec<BTreeSet<String>>,
}

impl Ready {
    /// Makes a definition ready that [`super::check`] found no mistake in.
    pub fn new(definition: TemplateDefinition) -> Result<Self, NotReady> {
        let mut environment = environment();
        let names: BTreeSet<&str> = definition.variables.iter().map(|one| one.name.as_str()).collect();
        let mut used = Vec::with_capacity(definition.variants.len());
        for (index, variant) in definition.variants.iter().enumerate() {
            let mut used_here = BTreeSet::new();
            for source in sources(index, variant) {
                let problem = |problem: String| NotReady {
                    field: source.field.clone(),
                    problem,
                };
                let found = look(source.text, &names);
                if let Some((_, what)) = found.mistakes.into_iter().next() {
                    return Err(problem(what));
                }
                used_here.extend(found.used);
                let added = environment.add_template_owned(source.name(), source.text.to_owned());
                added.map_err(|error| problem(error.to_string()))?;
            }
            used.push(used_here);
        }
        Ok(Self {
            definition,
            environment,
            used,
        })
    }

    /// What it was made from.
    #[must_use]
    pub const fn definition(&self) -> &TemplateDefinition {
        &self.definition
    }

    /// Names of the variables that a variant uses.
    #[must_use]
    pub fn used(&self, variant: usize) -> Option<&BTreeSet<String>> {
        self.used.get(variant)
    }

    /// The variant that somebody with this language gets on a channel, where the tenant's language is `default`.
    #[must_use]
    pub fn choose(&self, channel: &str, wanted: &str, default: &str) -> Option<usize> {
        let of_channel = self.definition.variants.iter().enumerate();
        let of_channel = of_channel.filter(|(_, variant)| variant.channel == channel);
        let tags = of_channel.clone().map(|(_, variant)| variant.locale.as_str());
        let chosen = locale::choose(tags, wanted, default)?;
        let mut of_channel = of_channel;
        of_channel
            .find(|(_, variant)| variant.locale == chosen)
            .map(|(index, _)| index)
    }

    /// What it says to somebody on a channel.
    pub fn render(&self, channel: &str, recipient: Recipient<'_>, default: &str) -> Result<Rendered, Refusal> {
        let variant = self.choose(channel, recipient.locale, default);
        let variant = variant.ok_or_else(|| Refusal::NoVariant {
            channel: channel.to_owned(),
            locale: recipient.locale.to_owned(),
        })?;
        self.render_variant(variant, recipient)
    }

    /// What a variant says to somebody, whatever their language.
    pub fn render_variant(&self, variant: usize, recipient: Recipient<'_>) -> Result<Rendered, Refusal> {
        Ok(self.try_variant(variant, recipient)?)
    }

    pub(super) fn try_variant(&self, index: usize, recipient: Recipient<'_>) -> Result<Rendered, Failed> {
        let (variant, used) = self
            .definition
            .variants
            .get(index)
            .zip(self.used.get(index))
            .ok_or_else(|| Refusal::NoVariant {
                channel: String::new(),
                locale: recipient.locale.to_owned(),
            })?;
        let rendering = Rendering {
            ready: self,
            values: self.values(variant, used, recipient)?,
        };
        let (mut message, plan) = content(index, variant, |source| rendering.say(&source))?;
        message.purpose = self.definition.purpose;
        event::normalise_outbound(&mut message).map_err(|refused| Fault {
            field: format!("variants[{index}]"),
            place: Place::default(),
            problem: "is more than a message can hold",
            detail: format!("{}: {}", refused.field, refused.problem),
        })?;
        Ok(Rendered {
            variant: index,
            hash: hash("rendered", &[&message.encode_to_vec()]),
            message,
            plan,
        })
    }

    /// The values that a variant needs, by their types.
    fn values(
        &self,
        variant: &TemplateVariant,
        used: &BTreeSet<String>,
        recipient: Recipient<'_>,
    ) -> Result<Value, Refusal> {
        let setting = Setting {
            wording: Wording::of(&variant.locale),
            zone: recipient.zone.clone(),
        };
        let needed = self.definition.variables.iter().filter(|one| used.contains(&one.name));
        let mut values = BTreeMap::new();
        for variable in needed {
            let text =
                text_of(variable, recipient.values).ok_or_else(|| Refusal::MissingData(variable.name.clone()))?;
            let typed = value::read(variable, text).map_err(|problem| Refusal::InvalidData {
                variable: variable.name.clone(),
                problem,
            })?;
            values.insert(variable.name.clone(), typed.into_value(&setting));
        }
        values.insert(SETTING.to_owned(), Value::from_object(setting));
        Ok(Value::from_object(Values(values)))
    }

    /// These values, and samples of what is missing.
    #[must_use]
    pub fn with_samples(&self, values: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut filled = values.clone();
        for variable in &self.definition.variables {
            let is_required = !matches!(variable.when_missing, Some(WhenMissing::DefaultValue(_)));
            let sample = match variable.sample.as_str() {
                "" if is_required => example(variable.r#type()),
                sample => sample,
            };
            let is_known = values.get(&variable.name).is_some_and(|value| !value.trim().is_empty());
            if !is_known && !sample.is_empty() {
                filled.insert(variable.name.clone(), sample.to_owned());
            }
        }
        filled
    }
}

/// The text of a variable's value: what is known, else the default. Nothing but space is not known.
fn text_of<'a>(variable: &'a TemplateVariable, known: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let known = known.get(&variable.name).map(String::as_str);
    known
        .filter(|text| !text.trim().is_empty())
        .or(match &variable.when_missing {
            Some(WhenMissing::DefaultValue(default)) => Some(default),
            Some(WhenMissing::Required(_)) | None => None,
        })
}

/// The values of one rendering, by name.
#[derive(Debug)]
struct Values(BTreeMap<String, Value>);

impl Object for Values {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_str()?).cloned()
    }
}

/// One variant being rendered for somebody.
struct Rendering<'a> {
    ready: &'a Ready,
    values: Value,
}

impl Rendering<'_> {
    fn say(&self, source: &Source<'_>) -> Result<String, Fault> {
        let fault = |error: &minijinja::Error| Fault {
            field: source.field.clone(),
            place: Place::of_error(source.text, error),
            problem: match error.kind() {
                ErrorKind::OutOfFuel => "takes too much work",
                ErrorKind::WriteFailure => "is longer than 65536 bytes",
                ErrorKind::UndefinedError => "uses what is not there",
                _ => "cannot be worked out with these values",
            },
            detail: error.detail().unwrap_or_default().to_owned(),
        };
        let mut text = Bounded(Vec::new());
        let template = self.ready.environment.get_template(&source.name());
        let rendered =
            template.and_then(|template| template.render_captured_to(self.values.clone(), &mut text).map(drop));
        rendered.map_err(|error| fault(&error))?;
        // What was written came from texts.
        Ok(String::from_utf8_lossy(&text.0).into_owned())
    }
}

/// Takes no more than a text may hold.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_TEXT {
            return Err(io::Error::other("too long"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a customer brings along: their attributes, and their name as `display_name` where no attribute is called so.
#[must_use]
pub fn values_of(customer: &Customer) -> BTreeMap<String, String> {
    let name = customer.profile.iter().map(|profile| &profile.display_name);
    let name = name.filter(|name| !name.is_empty());
    let name = name.map(|name| ("display_name".to_owned(), name.clone()));
    let attributes = customer.attributes.iter().filter_map(|attribute| {
        let value = attribute.standing.as_ref()?.value.as_ref()?;
        Some((attribute.name.clone(), written(value)?))
    });
    name.into_iter().chain(attributes).collect()
}

/// An attribute as a value is written.
fn written(value: &AttributeValue) -> Option<String> {
    Some(match value.kind.as_ref()? {
        Kind::Text(text) => text.clone(),
        Kind::Number(number) => match super::decimal::Decimal::from_f64(*number) {
            Some(decimal) => decimal.to_string(),
            None => number.to_string(),
        },
        Kind::Flag(flag) => flag.to_string(),
        Kind::Time(time) => {
            let moment = Moment::from_timestamp(time);
            jiff::Timestamp::from_millisecond(moment.0).ok()?.to_string()
        }
    })
}
