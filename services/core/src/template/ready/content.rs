//! What a variant consists of, and the message that becomes of it.

use super::{Failed, Fault, Source};
use crate::sms::segment::{MAX_SEGMENTS, Options, Plan};
use crate::template::syntax::Place;
use omnigate_proto::v1::part::Content as PartContent;
use omnigate_proto::v1::template_part::Content as Written;
use omnigate_proto::v1::template_variant::Content;
use omnigate_proto::v1::{
    Alternative, Choice, EmailTemplate, Message, Part, ProviderTemplateUse, RichTemplate, SmsTemplate, TemplateRef,
    TemplateVariant, Text, TextFormat,
};

/// All texts of a variant that are templates.
pub(in crate::template) fn sources(index: usize, variant: &TemplateVariant) -> Vec<Source<'_>> {
    let mut sources = Vec::new();
    // The walk is the same one that renders, so no text is forgotten by either.
    let walked = content(index, variant, |source| {
        sources.push(source);
        Ok("x".to_owned())
    });
    debug_assert!(walked.is_ok(), "one letter is never too long");
    sources
}

/// The message that a variant becomes, where `say` renders its texts; with the plan of an SMS.
pub(super) fn content<'a>(
    index: usize,
    variant: &'a TemplateVariant,
    say: impl FnMut(Source<'a>) -> Result<String, Fault>,
) -> Result<(Message, Option<Plan>), Failed> {
    let mut saying = Saying {
        field: format!("variants[{index}]"),
        say,
    };
    let (message, plan) = match &variant.content {
        Some(Content::Sms(sms)) => {
            let plan = saying.sms(sms)?;
            (message(vec![text(&plan.text, TextFormat::Plain)]), Some(plan))
        }
        Some(Content::Email(email)) => (saying.email(email)?, None),
        Some(Content::Rich(rich)) => (saying.rich(rich)?, None),
        None => (Message::default(), None),
    };
    if message.parts.is_empty() {
        return Err(saying.fault("says nothing").into());
    }
    Ok((message, plan))
}

fn message(parts: Vec<Part>) -> Message {
    Message {
        parts,
        ..Message::default()
    }
}

fn text(text: &str, format: TextFormat) -> Part {
    Part {
        content: Some(PartContent::Text(Text {
            text: text.to_owned(),
            format: format.into(),
        })),
    }
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

struct Saying<F> {
    field: String,
    say: F,
}

impl<'a, F: FnMut(Source<'a>) -> Result<String, Fault>> Saying<F> {
    fn fault(&self, problem: &'static str) -> Fault {
        Fault {
            field: self.field.clone(),
            place: Place::default(),
            problem,
            detail: problem.to_owned(),
        }
    }

    fn source(&mut self, field: &str, text: &'a str, is_html: bool) -> Result<String, Fault> {
        (self.say)(Source {
            field: format!("{}.{field}", self.field),
            text,
            is_html,
        })
    }

    fn plain(&mut self, field: &str, text: &'a str) -> Result<String, Fault> {
        self.source(field, text, false)
    }

    fn sms(&mut self, sms: &'a SmsTemplate) -> Result<Plan, Failed> {
        let text = self.plain("sms.text", &sms.text)?;
        if is_blank(&text) {
            return Err(self.fault("says nothing").into());
        }
        let most = usize::try_from(sms.max_segments).unwrap_or(MAX_SEGMENTS);
        let options = Options {
            unaccented: sms.without_accents,
            max_segments: if most == 0 { MAX_SEGMENTS } else { most },
            ..Options::default()
        };
        let plan = Plan::of(text.trim_end(), &options);
        plan.check().map_err(super::Refusal::from)?;
        Ok(plan)
    }

    /// Both bodies are parts of the message, the plain one first: they say the same.
    fn email(&mut self, email: &'a EmailTemplate) -> Result<Message, Fault> {
        let subject = self.plain("email.subject", &email.subject)?;
        let subject = subject.split_whitespace().collect::<Vec<_>>().join(" ");
        if subject.is_empty() {
            return Err(self.fault("has no subject"));
        }
        let mut parts = Vec::new();
        if !email.text.is_empty() {
            parts.push(text(&self.plain("email.text", &email.text)?, TextFormat::Plain));
        }
        if !email.html.is_empty() {
            parts.push(text(&self.source("email.html", &email.html, true)?, TextFormat::Html));
        }
        parts.retain(|part| !matches!(&part.content, Some(PartContent::Text(text)) if is_blank(&text.text)));
        Ok(Message {
            subject,
            ..message(parts)
        })
    }

    fn rich(&mut self, rich: &'a RichTemplate) -> Result<Message, Fault> {
        let mut parts = Vec::with_capacity(rich.parts.len());
        for (index, part) in rich.parts.iter().enumerate() {
            let Some(Written::Text(written)) = &part.content else {
                continue;
            };
            let is_html = written.format() == TextFormat::Html;
            let said = self.source(&format!("rich.parts[{index}].text.text"), &written.text, is_html)?;
            // A part may be there for some people only.
            if !is_blank(&said) {
                parts.push(text(&said, written.format()));
            }
        }
        let choices = self.choices(rich)?;
        let provider = rich.provider_template.as_ref();
        let provider = provider.map(|used| self.provider(used)).transpose()?;
        Ok(match provider {
            Some((template, _)) if rich.parts.is_empty() => message(vec![Part {
                content: Some(PartContent::Template(template)),
            }]),
            provider => Message {
                choices,
                alternative: provider.map(|(template, phone)| Alternative {
                    template: Some(template),
                    phone,
                }),
                ..message(parts)
            },
        })
    }

    fn choices(&mut self, rich: &'a RichTemplate) -> Result<Vec<Choice>, Fault> {
        let mut choices = Vec::with_capacity(rich.choices.len());
        for (index, choice) in rich.choices.iter().enumerate() {
            let field = |name: &str| format!("rich.choices[{index}].{name}");
            let said = Choice {
                label: self.plain(&field("label"), &choice.label)?,
                payload: self.plain(&field("payload"), &choice.payload)?,
                url: self.plain(&field("url"), &choice.url)?,
                phone: self.plain(&field("phone"), &choice.phone)?,
                row: choice.row,
                ..Choice::default()
            };
            if !is_blank(&said.label) {
                choices.push(said);
            }
        }
        Ok(choices)
    }

    fn provider(&mut self, used: &'a ProviderTemplateUse) -> Result<(TemplateRef, String), Fault> {
        let mut template = TemplateRef {
            template_id: used.template_id.clone(),
            locale: used.locale.clone(),
            ..TemplateRef::default()
        };
        for (name, value) in &used.parameters {
            let said = self.plain(&format!("rich.provider_template.parameters[{name}]"), value)?;
            template.parameters.insert(name.clone(), said.trim().to_owned());
        }
        let phone = self.plain("rich.provider_template.phone", &used.phone)?;
        Ok((template, phone.trim().to_owned()))
    }
}
