//! Zalo's objects, as far as they are read; field names are Zalo's own.
//!
//! Everything is optional, unknown fields are skipped, numbers may be written as texts and texts as numbers, texts are
//! borrowed from the request where they hold no escapes. A value of another type makes its object unreadable, so that it
//! is kept whole rather than lost in part.

mod content;

pub(super) use content::*;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, fmt, marker::PhantomData, ops::Deref};

/// A text, or a number as Zalo wrote it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Text<'a>(Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Self)
    }
}

struct TextVisitor;

impl<'de> de::Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a number")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(number.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(number.to_string()))
    }
}

/// An object; serde alone would take a list for one.
#[derive(Default)]
pub(super) struct Object<T>(T);

impl<T> Deref for Object<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
        T::deserialize(de::value::MapAccessDeserializer::new(fields))
    }
}

/// Reads bytes that must be an object.
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice::<Object<T>>(json).map(|object| object.0)
}

/// One side of an event, or a group.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Party<'a> {
    #[serde(borrow)]
    pub(super) id: Option<Text<'a>>,
    /// Only with a sender: the person who wrote for the OA in Zalo's own chat tool.
    #[serde(borrow)]
    pub(super) admin_id: Option<Text<'a>>,
}

/// What events have in common. What only one kind of event has is read from the whole body by that kind.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) event_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) app_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) oa_id: Option<Text<'a>>,
    /// As `change_oa_daily_quota` spells it.
    #[serde(borrow, rename = "oaId")]
    pub(super) oa_id_in_camel_case: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) sender: Option<Object<Party<'a>>>,
    #[serde(borrow)]
    pub(super) recipient: Option<Object<Party<'a>>>,
    #[serde(borrow)]
    pub(super) follower: Option<Object<Party<'a>>>,
    #[serde(borrow)]
    pub(super) user_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) user_id_by_app: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) group_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) timestamp: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) message: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) attachments: Option<&'a RawValue>,
}

/// A body as it could be read.
pub(super) struct Body<'a> {
    pub(super) envelope: Envelope<'a>,
    /// False when a field of the envelope was not what it should be.
    pub(super) is_whole: bool,
}

impl<'a> Body<'a> {
    /// Reads a body; an error only when the bytes are no JSON.
    pub(super) fn read(raw: &'a [u8]) -> Result<Self, serde_json::Error> {
        if let Ok(envelope) = object(raw) {
            return Ok(Self {
                envelope,
                is_whole: true,
            });
        }
        // Skipping values is lenient where reading texts is not (lone surrogates, broken UTF-8), so nothing that Zalo could
        // call JSON is refused.
        serde_json::from_slice::<de::IgnoredAny>(raw)?;
        let fields = serde_json::from_slice::<BTreeMap<Text<'_>, &RawValue>>(raw).unwrap_or_default();
        let field = |name: &str| fields.iter().find(|(key, _)| &***key == name).map(|(_, value)| *value);
        Ok(Self {
            envelope: Envelope {
                event_name: scalar(field("event_name")),
                app_id: scalar(field("app_id")),
                oa_id: scalar(field("oa_id")),
                oa_id_in_camel_case: scalar(field("oaId")),
                sender: party(field("sender")),
                recipient: party(field("recipient")),
                follower: party(field("follower")),
                user_id: scalar(field("user_id")),
                user_id_by_app: scalar(field("user_id_by_app")),
                group_id: scalar(field("group_id")),
                timestamp: scalar(field("timestamp")),
                message: field("message"),
                attachments: field("attachments"),
            },
            is_whole: false,
        })
    }
}

fn scalar(value: Option<&RawValue>) -> Option<Text<'_>> {
    serde_json::from_str(value?.get()).ok()
}

fn party(value: Option<&RawValue>) -> Option<Object<Party<'_>>> {
    serde_json::from_str(value?.get()).ok()
}

impl Envelope<'_> {
    /// Name of the event; empty when it has none.
    pub(super) fn name(&self) -> &str {
        self.event_name.as_deref().unwrap_or_default()
    }
}

/// The text of a field that may be missing.
pub(super) fn said<'a>(text: Option<&'a Text<'_>>) -> &'a str {
    text.map_or("", |text| text.trim())
}
