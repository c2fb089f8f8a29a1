//! Checks an expression: names, types, and how much work it can ask for. Literal times become milliseconds on the way.

use super::types::{CUSTOMER, IDENTIFIER, Type, unknown};
use crate::details::Schema;
use crate::time::Moment;
use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators};
use cel::common::types::CelInt;
use pbjson_types::Timestamp;
use std::collections::BTreeSet;

/// Most walks over lists.
const MAX_WALKS: usize = 8;

/// What is wrong, and at which node.
pub(super) struct Wrong {
    pub(super) at: u64,
    pub(super) what: String,
}

type Checked = Result<Type, Wrong>;

/// Checks that an expression is a condition on a customer; gives the customer's fields that it looks at.
pub(super) fn check(
    expression: &mut IdedExpr,
    schema: &Schema,
    deepest: usize,
) -> Result<BTreeSet<&'static str>, Wrong> {
    let mut check = Check {
        schema,
        fields: BTreeSet::new(),
        locals: Vec::new(),
        walks: 0,
        levels: deepest,
    };
    let at = expression.id;
    let result = check.of(expression)?;
    expect(at, "the expression", &result, &Type::Bool)?;
    Ok(check.fields)
}

struct Check<'a> {
    schema: &'a Schema,
    fields: BTreeSet<&'static str>,
    /// Variables of the walk that is under way.
    locals: Vec<(String, Type)>,
    walks: usize,
    /// How much deeper it may go.
    levels: usize,
}

fn wrong<T>(at: u64, what: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { at, what: what.into() })
}

fn expect(at: u64, what: &str, found: &Type, wanted: &Type) -> Result<(), Wrong> {
    if found.fits(wanted) {
        Ok(())
    } else {
        wrong(at, format!("{what} must be {wanted}, not {found}"))
    }
}

impl Check<'_> {
    fn of(&mut self, node: &mut IdedExpr) -> Checked {
        let Some(levels) = self.levels.checked_sub(1) else {
            return wrong(node.id, "is nested too deeply");
        };
        let before = std::mem::replace(&mut self.levels, levels);
        let found = self.kind(node);
        self.levels = before;
        found
    }

    fn kind(&mut self, node: &mut IdedExpr) -> Checked {
        let at = node.id;
        if let Some(milliseconds) = literal_time(node)? {
            let (kind, value) = milliseconds;
            node.expr = Expr::Literal(LiteralValue::Int(CelInt::from(value)));
            return Ok(kind);
        }
        match &mut node.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Ok(Type::Bool),
                LiteralValue::Double(_) => Ok(Type::Double),
                LiteralValue::Int(_) => Ok(Type::Int),
                LiteralValue::String(_) => Ok(Type::Text),
                LiteralValue::Bytes(_) | LiteralValue::Null | LiteralValue::UInt(_) => {
                    wrong(at, "bytes, null and unsigned numbers are not supported")
                }
            },
            Expr::Ident(name) => self.variable(at, name),
            Expr::Select(select) => self.select(at, select),
            Expr::List(list) => {
                let mut of = Type::Any;
                for element in &mut list.elements {
                    let found = self.of(element)?;
                    expect(element.id, "an element", &found, &of)?;
                    of = found;
                }
                Ok(Type::List(Box::new(of)))
            }
            Expr::Call(call) => self.call(at, call),
            Expr::Comprehension(walk) => self.walk(at, walk),
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => wrong(at, "maps and messages are not supported"),
        }
    }

    fn variable(&self, at: u64, name: &str) -> Checked {
        if let Some((_, found)) = self.locals.iter().rev().find(|(local, _)| local == name) {
            return Ok(found.clone());
        }
        match name {
            "customer" => Ok(Type::Customer),
            "now" => Ok(Type::Time),
            _ if CUSTOMER.iter().any(|(field, _)| *field == name) => {
                wrong(at, format!("unknown name {name:?}; did you mean \"customer.{name}\"?"))
            }
            _ => wrong(at, unknown("name", name, ["customer", "now"])),
        }
    }

    fn select(&mut self, at: u64, select: &mut SelectExpr) -> Checked {
        let of = self.of(&mut select.operand)?;
        let name = select.field.as_str();
        let found = match &of {
            Type::Customer => self.field(at, name),
            Type::Attributes => Type::of_attribute(self.schema, name).or_else(|what| wrong(at, what)),
            Type::Identifier if IDENTIFIER.contains(&name) => Ok(Type::Text),
            Type::Identifier => wrong(at, unknown("field of an identifier", name, IDENTIFIER.iter().copied())),
            other => wrong(at, format!("{other} has no fields")),
        }?;
        Ok(if select.test { Type::Bool } else { found })
    }

    fn field(&mut self, at: u64, name: &str) -> Checked {
        let Some((name, kind)) = CUSTOMER.iter().find(|(known, _)| *known == name) else {
            return wrong(
                at,
                unknown("field of a customer", name, CUSTOMER.iter().map(|(known, _)| *known)),
            );
        };
        self.fields.insert(name);
        Ok(kind())
    }

    /// `exists`, `exists_one` and `all`, as the parser writes them out: what they gather is one flag or one number.
    fn walk(&mut self, at: u64, walk: &mut ComprehensionExpr) -> Checked {
        self.walks += 1;
        if !self.locals.is_empty() {
            return wrong(at, "a walk over a list cannot be inside another one");
        }
        if self.walks > MAX_WALKS {
            return wrong(at, format!("at most {MAX_WALKS} walks over lists are possible"));
        }
        let gathered = self.of(&mut walk.accu_init)?;
        if !matches!(gathered, Type::Bool | Type::Int) || walk.iter_var2.is_some() {
            return wrong(at, "map and filter are not supported; use exists, exists_one or all");
        }
        if matches!(walk.iter_range.expr, Expr::List(_)) {
            return wrong(
                at,
                "only lists of a customer can be walked over, not one that is written out",
            );
        }
        let of = match self.of(&mut walk.iter_range)? {
            Type::List(of) => *of,
            other => {
                return wrong(
                    walk.iter_range.id,
                    format!("only lists can be walked over, not {other}"),
                );
            }
        };
        self.locals.push((walk.iter_var.clone(), of));
        self.locals.push((walk.accu_var.clone(), gathered.clone()));
        let condition = self.of(&mut walk.loop_cond)?;
        expect(at, "a condition", &condition, &Type::Bool)?;
        let step = self.of(&mut walk.loop_step)?;
        expect(at, "the condition of a walk", &step, &gathered)?;
        let result = self.of(&mut walk.result)?;
        self.locals.clear();
        expect(at, "what a walk gives", &result, &Type::Bool)?;
        Ok(Type::Bool)
    }

    fn call(&mut self, at: u64, call: &mut CallExpr) -> Checked {
        let mut types = Vec::new();
        let target = call.target.as_deref_mut().into_iter();
        for argument in target.chain(&mut call.args) {
            types.push(self.of(argument)?);
        }
        match (call.func_name.as_str(), types.as_slice()) {
            (operators::INDEX, [Type::Attributes, Type::Text]) => self.attribute_by_name(at, call.args.last()),
            (operators::INDEX, [Type::List(of), Type::Int]) => Ok((**of).clone()),
            (name, types) => applied(name, types).or_else(|what| wrong(at, what)),
        }
    }

    fn attribute_by_name(&self, at: u64, name: Option<&IdedExpr>) -> Checked {
        match name.map(|name| &name.expr) {
            Some(Expr::Literal(LiteralValue::String(name))) => {
                Type::of_attribute(self.schema, name.inner()).or_else(|what| wrong(at, what))
            }
            _ => Ok(Type::Any),
        }
    }
}

/// Type of an operator or function on arguments of these types.
fn applied(name: &str, types: &[Type]) -> Result<Type, String> {
    use Type::{Any, Attributes, Bool, Double, Int, List, Span, Text, Time};
    let found = match (name, types) {
        (operators::LOGICAL_AND | operators::LOGICAL_OR, [Bool | Any, Bool | Any])
        | (operators::LOGICAL_NOT | operators::NOT_STRICTLY_FALSE, [Bool | Any])
        | (operators::IN, [Text | Any, Attributes])
        | ("contains" | "startsWith" | "endsWith", [Text | Any, Text | Any]) => Some(Bool),
        (operators::EQUALS | operators::NOT_EQUALS, [one, other]) if is_value(one) && one.fits(other) => Some(Bool),
        (
            operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
            [one @ (Int | Double | Text | Time | Span | Any), other],
        ) if one.fits(other) && !matches!(other, Bool) => Some(Bool),
        (operators::IN, [one, List(of)]) if is_value(one) && one.fits(of) => Some(Bool),
        (operators::CONDITIONAL, [Bool | Any, one, other]) if one.fits(other) => Some(one.clone()),
        ("size", [Text | List(_) | Attributes | Any]) | ("int", [Int | Double | Text | Any]) => Some(Int),
        ("double", [Int | Double | Text | Any]) => Some(Double),
        ("string", [Int | Double | Text | Bool]) => Some(Text),
        (operators::NEGATE, [one @ (Int | Double | Span | Any)]) => Some(one.clone()),
        (_, [one, other]) => calculated(name, one, other),
        _ => None,
    };
    found.ok_or_else(|| {
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        let shown: String = name.trim_matches(['_', '@']).chars().take(40).collect();
        format!("{shown:?} cannot be applied to ({})", types.join(", "))
    })
}

/// Type of a calculation.
fn calculated(name: &str, one: &Type, other: &Type) -> Option<Type> {
    use Type::{Any, Double, Int, Span, Text, Time};
    match (name, one, other) {
        (operators::ADD, Text, Text) => Some(Text),
        (operators::ADD, Time, Span) | (operators::ADD, Span, Time) | (operators::SUBSTRACT, Time, Span) => Some(Time),
        (operators::SUBSTRACT, Time, Time) | (operators::ADD | operators::SUBSTRACT, Span, Span) => Some(Span),
        (operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE, Double, Double) => {
            Some(Double)
        }
        (
            operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO,
            Int,
            Int,
        ) => Some(Int),
        (
            operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE,
            Any | Int | Double | Text | Time | Span,
            Any,
        )
        | (
            operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE,
            Any,
            Int | Double | Text | Time | Span,
        ) => Some(Any),
        _ => None,
    }
}

/// True for what can be compared: the customer as a whole is no value.
fn is_value(kind: &Type) -> bool {
    !matches!(kind, Type::Customer | Type::Identifier | Type::Attributes)
}

/// The milliseconds that `timestamp("…")` and `duration("…")` stand for.
fn literal_time(node: &IdedExpr) -> Result<Option<(Type, i64)>, Wrong> {
    let Expr::Call(CallExpr {
        func_name,
        target: None,
        args,
    }) = &node.expr
    else {
        return Ok(None);
    };
    let is_time = func_name == "timestamp";
    if !is_time && func_name != "duration" {
        return Ok(None);
    }
    let [
        IdedExpr {
            expr: Expr::Literal(LiteralValue::String(text)),
            ..
        },
    ] = args.as_slice()
    else {
        return wrong(node.id, format!("{func_name} takes one literal text"));
    };
    if is_time {
        let read: Result<Timestamp, _> = serde_json::from_value(serde_json::Value::String(text.inner().to_owned()));
        let read = read.map_err(|_| Wrong {
            at: node.id,
            what: "is no time such as \"2026-01-31T00:00:00Z\"".to_owned(),
        })?;
        return Ok(Some((Type::Time, Moment::from_timestamp(&read).0)));
    }
    match span(text.inner()) {
        Some(milliseconds) => Ok(Some((Type::Span, milliseconds))),
        None => wrong(node.id, "is no span of time such as \"72h\" or \"1h30m\""),
    }
}

/// Milliseconds of a span such as `1h30m`.
fn span(text: &str) -> Option<i64> {
    let (negative, mut rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let mut all: i64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest.get(..digits)?.parse().ok()?;
        rest = rest.get(digits..)?;
        let (unit, length) = match rest {
            _ if rest.starts_with("ms") => (1, 2),
            _ if rest.starts_with('s') => (1_000, 1),
            _ if rest.starts_with('m') => (60_000, 1),
            _ if rest.starts_with('h') => (3_600_000, 1),
            _ => return None,
        };
        rest = rest.get(length..)?;
        all = all.checked_add(number.checked_mul(unit)?)?;
    }
    Some(if negative { -all } else { all })
}
