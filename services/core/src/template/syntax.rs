//! What a text of a template is made of, seen before anything is rendered: which variables it uses, and what is wrong.

use super::filters::{ATTRIBUTES, FILTERS};
use crate::filter::names::nearest;
use minijinja::machinery::ast::{CallArg, Expr, Stmt};
use minijinja::machinery::{Span, Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;
use std::collections::BTreeSet;

/// Most tokens between one pair of braces. An operator more is a level more for whoever walks what was parsed.
const MAX_TOKENS: usize = 200;
/// Most `{% … %}` of a text; an `elif` more is a level more, too.
const MAX_STATEMENTS: usize = 200;
/// Most mistakes told of one text.
const MAX_MISTAKES: usize = 20;

/// A place in a text, both counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Place {
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Place {
    /// The place of a byte.
    fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
        Self {
            line: count(before.matches('\n').count()),
            column: count(before[start..].chars().count()),
        }
    }

    /// The place that an error names.
    pub(super) fn of_error(text: &str, error: &minijinja::Error) -> Self {
        match error.range() {
            Some(range) => Self::of(text, range.start),
            None => Self {
                line: error.line().and_then(|line| u32::try_from(line).ok()).unwrap_or(0),
                column: 0,
            },
        }
    }
}

/// What was found in a text.
#[derive(Default, Debug)]
pub(super) struct Found {
    /// Variables of the template that the text uses.
    pub(super) used: BTreeSet<String>,
    /// What is wrong, with its place; at most [`MAX_MISTAKES`].
    pub(super) mistakes: Vec<(Place, String)>,
}

/// Looks at a text that may use these variables.
pub(super) fn look(text: &str, variables: &BTreeSet<&str>) -> Found {
    let mut found = Found::default();
    if let Err(mistake) = bounded(text) {
        found.mistakes.push(mistake);
        return found;
    }
    match parse(text, "text", SyntaxConfig::default()) {
        Err(error) => {
            let what = error.detail().unwrap_or("is no template");
            found.mistakes.push((Place::of_error(text, &error), what.to_owned()));
        }
        Ok(template) => {
            let mut walk = Walk {
                text,
                variables,
                found: &mut found,
            };
            if let Stmt::Template(template) = &template {
                walk.statements(&template.children, &mut BTreeSet::new());
            }
        }
    }
    found
}

/// Refuses what would be nested too deeply: parsing stops at its own bound, chains of operators have none.
fn bounded(text: &str) -> Result<(), (Place, String)> {
    let (mut tokens, mut statements) = (0, 0);
    for token in tokenize(text, false, SyntaxConfig::default()) {
        // What is no token is told by the parser.
        let Ok((token, span)) = token else {
            return Ok(());
        };
        match token {
            Token::BlockStart => {
                statements += 1;
                tokens = 0;
            }
            Token::VariableStart => tokens = 0,
            _ => tokens += 1,
        }
        let place = || Place::of(text, at(span));
        if tokens > MAX_TOKENS {
            return Err((
                place(),
                format!("an expression has at most {MAX_TOKENS} words and signs"),
            ));
        }
        if statements > MAX_STATEMENTS {
            return Err((place(), format!("a text has at most {MAX_STATEMENTS} of {{% … %}}")));
        }
    }
    Ok(())
}

fn at(span: Span) -> usize {
    usize::try_from(span.start_offset).unwrap_or(usize::MAX)
}

struct Walk<'a> {
    text: &'a str,
    variables: &'a BTreeSet<&'a str>,
    found: &'a mut Found,
}

impl Walk<'_> {
    fn wrong(&mut self, span: Span, what: impl Into<String>) {
        if self.found.mistakes.len() < MAX_MISTAKES {
            self.found.mistakes.push((Place::of(self.text, at(span)), what.into()));
        }
    }

    /// `set` holds what `{% set %}` has set wherever the text goes.
    fn statements<'s>(&mut self, statements: &'s [Stmt<'_>], set: &mut BTreeSet<&'s str>) {
        for statement in statements {
            self.statement(statement, set);
        }
    }

    fn statement<'s>(&mut self, statement: &'s Stmt<'_>, set: &mut BTreeSet<&'s str>) {
        match statement {
            Stmt::EmitRaw(_) => {}
            Stmt::EmitExpr(emit) => self.expression(&emit.expr, set),
            Stmt::IfCond(condition) => {
                self.expression(&condition.expr, set);
                let mut otherwise = set.clone();
                self.statements(&condition.true_body, set);
                self.statements(&condition.false_body, &mut otherwise);
                // Only what both ways set is there behind them.
                set.retain(|name| otherwise.contains(name));
            }
            Stmt::Set(assignment) => {
                self.expression(&assignment.expr, set);
                match &assignment.target {
                    Expr::Var(name) if self.variables.contains(name.id) => {
                        let what = format!("{:?} is a variable of the template and cannot be set", name.id);
                        self.wrong(name.span(), what);
                    }
                    Expr::Var(name) => {
                        set.insert(name.id);
                    }
                    other => self.wrong(other.span(), "`set` sets one name"),
                }
            }
            other => {
                let (span, name) = unknown(other);
                let what = format!("`{name}` is not known here; there are `if`, `elif`, `else`, `set` and `raw`");
                self.wrong(span, what);
            }
        }
    }

    fn expression(&mut self, expression: &Expr<'_>, set: &BTreeSet<&str>) {
        match expression {
            Expr::Const(_) => {}
            Expr::Var(name) if self.variables.contains(name.id) => {
                self.found.used.insert(name.id.to_owned());
            }
            Expr::Var(name) if set.contains(name.id) => {}
            Expr::Var(name) => {
                let known = self.variables.iter().chain(set).copied();
                let what = misspelt("there is no variable", name.id, known);
                self.wrong(name.span(), what);
            }
            Expr::UnaryOp(operation) => self.expression(&operation.expr, set),
            Expr::BinOp(operation) => {
                self.expression(&operation.left, set);
                self.expression(&operation.right, set);
            }
            Expr::Compare(comparison) => {
                self.expression(&comparison.expr, set);
                comparison.ops.iter().for_each(|next| self.expression(&next.expr, set));
            }
            Expr::IfExpr(choice) => {
                let branches = [&choice.test_expr, &choice.true_expr];
                let branches = branches.into_iter().chain(choice.false_expr.as_ref());
                branches.for_each(|branch| self.expression(branch, set));
            }
            Expr::Slice(slice) => {
                let bounds = [&slice.start, &slice.stop, &slice.step].into_iter().flatten();
                let all = [&slice.expr].into_iter().chain(bounds);
                all.for_each(|part| self.expression(part, set));
            }
            Expr::List(list) => list.items.iter().for_each(|item| self.expression(item, set)),
            Expr::Tuple(tuple) => tuple.items.iter().for_each(|item| self.expression(item, set)),
            Expr::Filter(filter) => {
                if !FILTERS.contains(&filter.name) {
                    let what = misspelt("there is no filter", filter.name, FILTERS.iter().copied());
                    self.wrong(filter.span(), what);
                }
                filter.expr.iter().for_each(|input| self.expression(input, set));
                self.arguments(filter.span(), &filter.args, set);
            }
            Expr::GetAttr(attribute) => {
                if !ATTRIBUTES.contains(&attribute.name) {
                    let what = misspelt("values have no", attribute.name, ATTRIBUTES.iter().copied());
                    self.wrong(attribute.span(), what);
                }
                self.expression(&attribute.expr, set);
            }
            Expr::Test(test) => self.wrong(
                test.span(),
                "there are no tests with `is`; compare with ==, < and the like",
            ),
            Expr::Call(call) => self.wrong(
                call.span(),
                "there are no functions; use a filter, such as {{ x | upper }}",
            ),
            Expr::GetItem(item) => self.wrong(item.span(), "there are no lists to take from"),
            Expr::Map(map) => self.wrong(map.span(), "there are no maps"),
        }
    }

    fn arguments(&mut self, span: Span, arguments: &[CallArg<'_>], set: &BTreeSet<&str>) {
        for argument in arguments {
            match argument {
                CallArg::Pos(value) | CallArg::Kwarg(_, value) => self.expression(value, set),
                CallArg::PosSplat(_) | CallArg::KwargSplat(_) => self.wrong(span, "arguments are named one by one"),
            }
        }
    }
}

fn misspelt<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let shown: String = name.chars().take(64).collect();
    match nearest(name, known) {
        Some(nearest) => format!("{what} {shown:?}; did you mean {nearest:?}?"),
        None => format!("{what} {shown:?}"),
    }
}

/// Where a statement stands that no text may have, and its name.
fn unknown(statement: &Stmt<'_>) -> (Span, &'static str) {
    match statement {
        Stmt::Template(template) => (template.span(), "template"),
        Stmt::EmitExpr(emit) => (emit.span(), "output"),
        Stmt::EmitRaw(raw) => (raw.span(), "text"),
        Stmt::ForLoop(part) => (part.span(), "for"),
        Stmt::IfCond(part) => (part.span(), "if"),
        Stmt::WithBlock(part) => (part.span(), "with"),
        Stmt::Set(part) => (part.span(), "set"),
        Stmt::SetBlock(part) => (part.span(), "set without a value"),
        Stmt::AutoEscape(part) => (part.span(), "autoescape"),
        Stmt::FilterBlock(part) => (part.span(), "filter"),
        Stmt::Do(part) => (part.span(), "do"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Found {
        look(text, &BTreeSet::from(["name", "total", "due"]))
    }

    fn mistake(text: &str) -> String {
        let found = found(text);
        let (place, what) = found.mistakes.first().cloned().unwrap_or_default();
        format!("{}:{} {what}", place.line, place.column)
    }

    #[test]
    fn variables_are_found_wherever_they_stand() {
        let text = "{% if total.amount > 5 and name[:1] == 'A' %}{{ due | date('%d') }}{% else %}{{ name }}{% endif %}";
        let seen = found(text);
        assert_eq!(seen.mistakes, []);
        assert_eq!(Vec::from_iter(seen.used), ["due", "name", "total"]);
        assert_eq!(
            found("Xin chào {# {{ nobody }} #}{% raw %}{{ nobody }}{% endraw %}").mistakes,
            []
        );
        assert_eq!(
            found("{{ 'x' if name in ['An', 'Bình'] else (name ~ '!') }}").mistakes,
            []
        );
    }

    #[test]
    fn mistakes_are_told_with_their_place_and_what_was_meant() {
        let mut different = Vec::new();
        for (text, told) in [
            (
                "Chào\nchị {{ names }}",
                "2:8 there is no variable \"names\"; did you mean \"name\"?",
            ),
            ("{{ xyz }}", "1:4 there is no variable \"xyz\""),
            (
                "Đã {{ name | uppers }}",
                "1:14 there is no filter \"uppers\"; did you mean \"upper\"?",
            ),
            ("{{ total.sum }}", "1:4 values have no \"sum\""),
            ("{{ name", "1:4 unexpected end of input, expected end of variable block"),
            ("{% if name %}x", "1:14 unexpected end of input"),
            ("{% for x in [1] %}{{ x }}{% endfor %}", "1:4 `for` is not known here"),
            ("{% include 'x' %}", "1:4 unknown statement include"),
            (
                "{% autoescape false %}{{ name }}{% endautoescape %}",
                "1:4 `autoescape` is not known here",
            ),
            ("{{ name | safe }}", "1:11 there is no filter \"safe\""),
            ("{{ range(5) }}", "1:4 there are no functions"),
            ("{{ name.upper() }}", "1:8 there are no functions"),
            ("{{ name is defined }}", "1:12 there are no tests"),
            ("{% set name = 'x' %}", "1:8 \"name\" is a variable of the template"),
            (
                "{% if total %}{% set x = 1 %}{% endif %}{{ x }}",
                "1:44 there is no variable \"x\"",
            ),
        ] {
            let seen = mistake(text);
            if !seen.starts_with(told) {
                different.push(format!("{text:?}: {seen}"));
            }
        }
        assert_eq!(different, [""; 0]);
        let both = "{% if total %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}";
        assert_eq!(found(both).mistakes, []);
        assert_eq!(found(&"{{ x1 }}".repeat(50)).mistakes.len(), MAX_MISTAKES);
    }

    #[test]
    fn what_would_nest_too_deeply_is_refused_before_it_is_parsed() {
        for text in [
            format!("{{{{ 1{} }}}}", " ~ 1".repeat(50_000)),
            format!("{{{{ name{} }}}}", "|upper".repeat(50_000)),
            format!("{{{{ {}1 }}}}", "not ".repeat(50_000)),
            format!("{{{{ {}1 }}}}", "(".repeat(50_000)),
            format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}x".repeat(5_000)),
            "{% if 1 %}".repeat(5_000),
        ] {
            assert!(!found(&text).mistakes.is_empty(), "{}", &text[..40]);
        }
    }
}
