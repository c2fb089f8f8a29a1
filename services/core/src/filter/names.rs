//! Names that were mistyped.

/// How alike two names must be for one to be meant by the other.
const ALIKE: f64 = 0.5;

/// The name that is most like the one that was given; `None` when none is.
#[must_use]
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let likeness = |name: &&str| (strsim::normalized_damerau_levenshtein(given, name) * 1000.0).round();
    let alike = known.into_iter().filter(|name| likeness(name) >= ALIKE * 1000.0);
    alike
        .max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
        .map(str::to_owned)
}
