//! Whether a provider would take a template message, by the copy of its template.

use omnigate_proto::v1::{ProviderTemplate, ProviderTemplateState, ProviderTemplates, TemplateRef};

/// Why it would not.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    /// There is no such template.
    #[error("the account has no template {0:?}; see `omnigate accounts templates`")]
    Unknown(String),
    /// It is not there in this language.
    #[error("template {template:?} is not there in {locale:?}; it is in {known}")]
    NoLocale {
        /// Its id.
        template: String,
        /// What was asked for.
        locale: String,
        /// What there is.
        known: String,
    },
    /// It cannot be used.
    #[error("template {0:?} is {1}")]
    NotApproved(String, &'static str),
    /// A parameter is missing.
    #[error("parameter {0:?} is missing")]
    Missing(String),
    /// A parameter that the template has not.
    #[error("the template has no parameter {parameter:?}; it has {known}")]
    Strange {
        /// Its name.
        parameter: String,
        /// What there is.
        known: String,
    },
    /// A value is too long.
    #[error("parameter {parameter:?} has {length} characters, at most {limit} are taken")]
    TooLong {
        /// Its name.
        parameter: String,
        /// Its length.
        length: usize,
        /// The most.
        limit: u32,
    },
    /// A value is too short.
    #[error("parameter {parameter:?} has {length} characters, at least {limit} are needed")]
    TooShort {
        /// Its name.
        parameter: String,
        /// Its length.
        length: usize,
        /// The least.
        limit: u32,
    },
    /// A value is empty.
    #[error("parameter {0:?} is empty")]
    Empty(String),
}

impl Unfit {
    /// True when a template that was made, translated or approved since the copy would fit.
    #[must_use]
    pub const fn may_have_changed(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::NoLocale { .. } | Self::NotApproved(..))
    }
}

/// Checks a reference against the account's templates.
pub fn check(templates: &ProviderTemplates, wanted: &TemplateRef) -> Result<(), Unfit> {
    parameters(usable(templates, wanted)?, wanted)
}

/// The same where the values are not known yet: whether the parameters are those that the template has.
pub fn check_names(templates: &ProviderTemplates, wanted: &TemplateRef) -> Result<(), Unfit> {
    let template = usable(templates, wanted)?;
    known_names(template, wanted)?;
    let missing = |name: &str| !wanted.parameters.contains_key(name);
    let required = template.parameters.iter().filter(|parameter| parameter.required);
    match required.map(|parameter| &parameter.name).find(|name| missing(name)) {
        Some(name) => Err(Unfit::Missing(name.clone())),
        None => Ok(()),
    }
}

/// The template that a reference stands for, when it can be used.
fn usable<'a>(templates: &'a ProviderTemplates, wanted: &TemplateRef) -> Result<&'a ProviderTemplate, Unfit> {
    let named = templates.templates.iter();
    let named: Vec<&ProviderTemplate> = named
        .filter(|template| template.template_id == wanted.template_id)
        .collect();
    if named.is_empty() {
        return Err(Unfit::Unknown(wanted.template_id.clone()));
    }
    // Where a provider does not say the language there is one variant.
    let fits =
        |locale: &str| wanted.locale.is_empty() || locale.is_empty() || locale.eq_ignore_ascii_case(&wanted.locale);
    let is_usable = |template: &ProviderTemplate| {
        matches!(
            template.state(),
            ProviderTemplateState::Approved | ProviderTemplateState::Unspecified
        )
    };
    let fitting = || named.iter().copied().filter(|template| fits(&template.locale));
    let template = fitting()
        .find(|template| is_usable(template))
        .or_else(|| fitting().next())
        .ok_or_else(|| Unfit::NoLocale {
            template: wanted.template_id.clone(),
            locale: wanted.locale.clone(),
            known: named
                .iter()
                .map(|template| template.locale.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        })?;
    let state = match template.state() {
        ProviderTemplateState::Approved | ProviderTemplateState::Unspecified => None,
        ProviderTemplateState::Pending => Some("not approved yet"),
        ProviderTemplateState::Rejected => Some("rejected by the provider"),
        ProviderTemplateState::Disabled => Some("disabled"),
    };
    match state {
        Some(state) => Err(Unfit::NotApproved(wanted.template_id.clone(), state)),
        None => Ok(template),
    }
}

fn known_names(template: &ProviderTemplate, wanted: &TemplateRef) -> Result<(), Unfit> {
    let known = |name: &str| template.parameters.iter().any(|parameter| parameter.name == name);
    if let Some(strange) = wanted.parameters.keys().find(|name| !known(name)) {
        let names: Vec<&str> = template.parameters.iter().map(|one| one.name.as_str()).collect();
        return Err(Unfit::Strange {
            parameter: strange.clone(),
            known: if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            },
        });
    }
    Ok(())
}

fn parameters(template: &ProviderTemplate, wanted: &TemplateRef) -> Result<(), Unfit> {
    known_names(template, wanted)?;
    for parameter in &template.parameters {
        let name = || parameter.name.clone();
        let Some(value) = wanted.parameters.get(&parameter.name) else {
            if parameter.required {
                return Err(Unfit::Missing(name()));
            }
            continue;
        };
        let length = value.chars().count();
        if length == 0 && parameter.required && !parameter.may_be_empty {
            return Err(Unfit::Empty(name()));
        }
        let at = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        if parameter.max_length > 0 && length > at(parameter.max_length) {
            return Err(Unfit::TooLong {
                parameter: name(),
                length,
                limit: parameter.max_length,
            });
        }
        if length > 0 && length < at(parameter.min_length) {
            return Err(Unfit::TooShort {
                parameter: name(),
                length,
                limit: parameter.min_length,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::v1::ProviderTemplateParameter;

    fn templates(state: ProviderTemplateState) -> ProviderTemplates {
        let parameter = |name: &str, required| ProviderTemplateParameter {
            name: name.to_owned(),
            required,
            max_length: 5,
            min_length: 2,
            ..ProviderTemplateParameter::default()
        };
        ProviderTemplates {
            templates: vec![ProviderTemplate {
                template_id: "300001".to_owned(),
                state: state.into(),
                parameters: vec![parameter("code", true), parameter("note", false)],
                ..ProviderTemplate::default()
            }],
            ..ProviderTemplates::default()
        }
    }

    fn checked(id: &str, parameters: &[(&str, &str)]) -> Result<(), String> {
        let wanted = TemplateRef {
            template_id: id.to_owned(),
            parameters: parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..TemplateRef::default()
        };
        check(&templates(ProviderTemplateState::Approved), &wanted).map_err(|unfit| unfit.to_string())
    }

    #[test]
    fn what_the_provider_would_refuse_is_refused_with_the_reason() {
        assert_eq!(checked("300001", &[("code", "DH-1")]), Ok(()));
        assert_eq!(checked("300001", &[("code", "ĐH-1ă")]), Ok(()), "characters, not bytes");
        for (id, parameters, words) in [
            ("9", &[][..], "no template"),
            ("300001", &[], "\"code\" is missing"),
            ("300001", &[("code", "")], "is empty"),
            ("300001", &[("code", "1")], "at least 2"),
            ("300001", &[("code", "123456")], "at most 5"),
            ("300001", &[("code", "12"), ("cod", "12")], "it has code, note"),
        ] {
            let refused = checked(id, parameters).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn names_are_checked_before_values_are_known() {
        let copied = templates(ProviderTemplateState::Approved);
        let checked = |names: &[&str]| {
            let wanted = TemplateRef {
                template_id: "300001".to_owned(),
                parameters: names.iter().map(|name| ((*name).to_owned(), String::new())).collect(),
                ..TemplateRef::default()
            };
            check_names(&copied, &wanted)
        };
        assert_eq!(checked(&["code"]), Ok(()));
        assert_eq!(checked(&["note"]), Err(Unfit::Missing("code".to_owned())));
        assert!(matches!(checked(&["code", "kode"]), Err(Unfit::Strange { .. })));
        let rejected = check_names(
            &templates(ProviderTemplateState::Rejected),
            &TemplateRef {
                template_id: "300001".to_owned(),
                ..TemplateRef::default()
            },
        );
        assert!(matches!(rejected, Err(Unfit::NotApproved(..))));
    }

    #[test]
    fn a_template_with_variants_is_taken_in_the_wanted_language() {
        let mut copied = templates(ProviderTemplateState::Rejected);
        let mut vietnamese = copied.templates[0].clone();
        vietnamese.locale = "vi".to_owned();
        vietnamese.state = ProviderTemplateState::Approved.into();
        vietnamese.parameters.clear();
        copied.templates[0].locale = "en".to_owned();
        copied.templates.push(vietnamese);
        let checked = |locale: &str| {
            let wanted = TemplateRef {
                template_id: "300001".to_owned(),
                locale: locale.to_owned(),
                ..TemplateRef::default()
            };
            check(&copied, &wanted).map_err(|unfit| unfit.to_string())
        };
        assert_eq!((checked("vi"), checked("VI"), checked("")), (Ok(()), Ok(()), Ok(())));
        assert!(checked("en").unwrap_err().contains("rejected"));
        assert!(checked("th").unwrap_err().contains("it is in en, vi"));
    }

    #[test]
    fn only_approved_templates_are_used() {
        let wanted = TemplateRef {
            template_id: "300001".to_owned(),
            ..TemplateRef::default()
        };
        let refused = check(&templates(ProviderTemplateState::Rejected), &wanted);
        assert_eq!(
            refused,
            Err(Unfit::NotApproved("300001".to_owned(), "rejected by the provider"))
        );
    }
}
