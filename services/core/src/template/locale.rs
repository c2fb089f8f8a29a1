//! Which variant of a template somebody gets.

/// The language of a tag: `vi` of `vi-VN`.
pub(crate) fn language(locale: &str) -> &str {
    locale.split(['-', '_']).next().unwrap_or_default()
}

/// True for a language tag of BCP 47, by its form.
#[must_use]
pub fn is_tag(locale: &str) -> bool {
    let mut parts = locale.split('-');
    let is_language = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    locale.len() <= 35 && parts.next().is_some_and(is_language) && parts.all(is_part)
}

/// Which of these languages somebody gets: their own, else its language without the region, else that of another region,
/// else the same for the default. None where nothing fits: a language that somebody cannot read is worse than silence.
pub(super) fn choose<'a>(known: impl Iterator<Item = &'a str> + Clone, wanted: &str, default: &str) -> Option<&'a str> {
    [wanted, default].into_iter().find_map(|wanted| {
        let own = language(wanted);
        let exact = || known.clone().find(|tag| tag.eq_ignore_ascii_case(wanted));
        let general = || known.clone().find(|tag| tag.eq_ignore_ascii_case(own));
        let another = || known.clone().find(|tag| language(tag).eq_ignore_ascii_case(own));
        exact().or_else(general).or_else(another).filter(|_| !own.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_language_is_chosen_and_never_a_strange_one() {
        let known = ["en-GB", "vi", "en", "pt-BR"];
        let chosen = |wanted, default| choose(known.into_iter(), wanted, default);
        assert_eq!(chosen("en-GB", "vi"), Some("en-GB"));
        assert_eq!(chosen("EN-gb", "vi"), Some("en-GB"));
        assert_eq!(chosen("en-US", "vi"), Some("en"), "the language");
        assert_eq!(chosen("pt-PT", "vi"), Some("pt-BR"), "another region of the language");
        assert_eq!(chosen("vi-VN", "en"), Some("vi"));
        assert_eq!(chosen("th", "vi-VN"), Some("vi"), "the default, and its language");
        assert_eq!(chosen("", "en"), Some("en"));
        assert_eq!(chosen("th", "ja"), None);
        assert_eq!(chosen("th", ""), None);
        assert_eq!(choose(std::iter::empty(), "vi", "vi"), None);
    }

    #[test]
    fn tags_are_told_from_other_texts() {
        assert!(["vi", "en-GB", "zh-Hant-TW", "sl-1994"].into_iter().all(is_tag));
        assert!(
            !["", "v", "tiếng", "vi_VN", "vi-", "-vi", "12", "vi VN"]
                .into_iter()
                .any(is_tag)
        );
    }
}
