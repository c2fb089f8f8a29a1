//! Filters over customers in the Common Expression Language.
//!
//! An expression is checked against a schema once: what it names is known, types fit, and the work that it can ask for is
//! bounded by its length and by the bounds of what it looks at. It reads no clock: `now` is given. `cel` parses and evaluates;
//! times are whole milliseconds to it, which the check keeps apart from numbers.

mod check;
pub(crate) mod names;
mod subject;
mod types;

pub use names::nearest;

use crate::details::Schema;
use crate::time::Moment;
use cel::parser::{Expression, PrattParser};
use cel::{Context, Env, Value};
use omnigate_proto::v1::Customer;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use unicode_normalization::UnicodeNormalization as _;

/// Longest expression, in bytes.
pub const MAX_LENGTH: usize = 4096;
/// Most nodes of the parsed expression.
const MAX_NODES: usize = 300;
/// Deepest nesting: parsing and evaluating call themselves for each level, and a stack that overflows ends the process.
const MAX_DEPTH: u16 = 16;

static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A checked expression.
#[derive(Clone, Debug)]
pub struct Filter {
    expression: Expression,
    /// Fields of the customer that it looks at.
    fields: BTreeSet<&'static str>,
}

/// Why a text is no filter.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct NotAFilter {
    /// Line, counted from 1.
    pub line: usize,
    /// Character in the line, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub what: String,
}

impl Filter {
    /// Reads and checks an expression over customers with these attributes.
    pub fn new(source: &str, schema: &Schema) -> Result<Self, NotAFilter> {
        if source.len() > MAX_LENGTH {
            let what = format!("an expression has at most {MAX_LENGTH} bytes");
            return Err(NotAFilter {
                line: 1,
                column: 1,
                what,
            });
        }
        // What it is compared with is NFC.
        let source: &str = &source.nfc().collect::<String>();
        let mut expression = parser().parse(source).map_err(|errors| unreadable(&errors))?;
        let checked = check::check(&mut expression, schema, usize::from(MAX_DEPTH));
        match checked {
            Ok(fields) => Ok(Self { expression, fields }),
            Err(wrong) => {
                let (line, column) = place(source, offset(source, wrong.at));
                Err(NotAFilter {
                    line,
                    column,
                    what: wrong.what,
                })
            }
        }
    }

    /// Whether it is true for a customer. Where it asks for what the customer does not have, or calculates out of bounds, it
    /// is not.
    #[must_use]
    pub fn holds(&self, customer: &Customer, now: Moment) -> bool {
        let mut context = Context::with_env(Arc::clone(&ENVIRONMENT));
        context.add_variable_from_value("now", now.0);
        context.add_variable_from_value("customer", subject::value(customer, &self.fields));
        matches!(Value::resolve(&self.expression, &context), Ok(Value::Bool(true)))
    }
}

/// Of the two parsers the one that needs little stack, and bounds it.
fn parser() -> PrattParser {
    PrattParser::new()
        .max_recursion_depth(MAX_DEPTH)
        .max_expression_node_count(MAX_NODES)
}

/// Where a node was written. The parser tells places with errors only, so it is given one, behind everything else.
fn offset(source: &str, node: u64) -> usize {
    let errors = parser().parse(&format!("{source}\n)")).err();
    let places = errors.and_then(|errors| errors.errors.into_iter().find_map(|error| error.source_info));
    let start = places
        .and_then(|places| places.offset_for(node))
        .map_or(0, |(start, _)| start);
    usize::try_from(start).unwrap_or(0)
}

/// The first of the parser's errors.
fn unreadable(errors: &cel::ParseErrors) -> NotAFilter {
    let first = errors.errors.first();
    let (line, column) = first.map_or((1, 1), |error| error.pos);
    NotAFilter {
        line: usize::try_from(line).unwrap_or(1).max(1),
        column: usize::try_from(column).unwrap_or(1).max(1),
        what: first.map_or_else(|| "cannot be read".to_owned(), |error| error.msg.clone()),
    }
}

/// Line and column of an offset.
fn place(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    (line, column)
}

#[cfg(test)]
mod tests;
