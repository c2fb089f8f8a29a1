//! `omnigate sms-segments`

use super::print;
use crate::cli::{Output, SmsSegments};
use anyhow::{Context as _, bail, ensure};
use omnigate_core::sms::price::Price;
use omnigate_core::sms::segment::{Encoding, Foreign, Options, Plan, Reference};
use serde::Serialize;
use std::io::Read as _;

/// Largest text read, in bytes; the most that one message can hold is a fraction of it.
const MAX_TEXT: u64 = 256 * 1024;

/// Runs it. The exit code is 1 when no message can hold the text.
pub fn run(arguments: &SmsSegments) -> anyhow::Result<u8> {
    let text = text(arguments.text.as_deref())?;
    let plan = Plan::of(&text, &options(arguments)?);
    ensure!(!plan.segments.is_empty(), "there is no text to send");
    match arguments.output {
        Output::Json => print::json(&Shown::of(&plan))?,
        Output::Table => table(&plan)?,
    }
    match plan.check() {
        Ok(()) => Ok(0),
        Err(problem) => {
            print::aside(&format!("omnigate: {problem}"));
            Ok(1)
        }
    }
}

fn options(arguments: &SmsSegments) -> anyhow::Result<Options> {
    let price = match (&arguments.cost, &arguments.currency) {
        (Some(cost), Some(currency)) => {
            Some(Price::parse(cost, currency).with_context(|| format!("--cost {cost:?} --currency {currency:?}"))?)
        }
        _ => None,
    };
    Ok(Options {
        unaccented: arguments.unaccented,
        label: arguments.label.clone(),
        opt_out_line: arguments.opt_out_line.clone(),
        reference: match arguments.reference.as_str() {
            "16" => Reference::Bits16,
            _ => Reference::Bits8,
        },
        reserved: usize::from(arguments.reserved),
        price,
        ..Options::default()
    })
}

fn text(argument: Option<&str>) -> anyhow::Result<String> {
    if let Some(text) = argument.filter(|text| *text != "-") {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::new();
    std::io::stdin().take(MAX_TEXT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_TEXT {
        bail!("the text on standard input is longer than {} KiB", MAX_TEXT / 1024);
    }
    let mut text = String::from_utf8(bytes).context("the text on standard input is not UTF-8")?;
    // The line's end is the editor's or the shell's, not the message's.
    text.truncate(text.trim_end_matches(['\n', '\r']).len());
    Ok(text)
}

/// A plan as it is printed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    encoding: &'static str,
    text: &'a str,
    characters: usize,
    units: usize,
    capacity: usize,
    room: usize,
    segments: Vec<ShownSegment<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<ShownCost<'a>>,
    foreign: Vec<ShownForeign<'a>>,
    foreign_characters: usize,
    replaced: usize,
    lost: usize,
}

#[derive(Serialize)]
struct ShownSegment<'a> {
    text: &'a str,
    characters: usize,
    units: usize,
}

#[derive(Serialize)]
struct ShownCost<'a> {
    amount: String,
    currency: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownForeign<'a> {
    character: char,
    code_point: String,
    count: usize,
    position: usize,
    instead: &'a str,
}

impl<'a> Shown<'a> {
    fn of(plan: &'a Plan) -> Self {
        let sizes = plan.segments.iter().zip(plan.texts());
        Self {
            encoding: match plan.encoding {
                Encoding::Gsm7 => "gsm7",
                Encoding::Ucs2 => "ucs2",
            },
            text: &plan.text,
            characters: plan.characters,
            units: plan.units,
            capacity: plan.capacity,
            room: plan.room,
            segments: sizes
                .map(|(segment, text)| ShownSegment {
                    text,
                    characters: segment.characters,
                    units: segment.units,
                })
                .collect(),
            cost: plan.cost.as_ref().map(|cost| ShownCost {
                amount: cost.amount(),
                currency: cost.currency(),
            }),
            foreign: plan.foreign.iter().map(ShownForeign::of).collect(),
            foreign_characters: plan.foreign_characters,
            replaced: plan.replaced,
            lost: plan.lost,
        }
    }
}

impl<'a> ShownForeign<'a> {
    fn of(foreign: &'a Foreign) -> Self {
        Self {
            character: foreign.character,
            code_point: format!("U+{:04X}", u32::from(foreign.character)),
            count: foreign.count,
            position: foreign.position + 1,
            instead: &foreign.instead,
        }
    }
}

fn table(plan: &Plan) -> anyhow::Result<()> {
    let shown = Shown::of(plan);
    let (name, unit) = match plan.encoding {
        Encoding::Gsm7 => ("GSM-7", "septets"),
        Encoding::Ucs2 => ("UCS-2", "units"),
    };
    print::line(&format!(
        "{name}: {}, {} {unit}; {} of at most {}, room for {} more",
        count(plan.characters, "character"),
        plan.units,
        count(plan.segments.len(), "SMS segment"),
        plan.capacity,
        plan.room
    ));
    if let Some(cost) = &plan.cost {
        print::line(&format!("Cost: {cost}"));
    }
    if plan.replaced + plan.lost > 0 {
        print::line(&format!(
            "Without accents: {} replaced, {} lost as ?",
            count(plan.replaced, "character"),
            plan.lost
        ));
    }
    let numbered: Vec<(usize, &ShownSegment<'_>)> = (1..).zip(&shown.segments).collect();
    print::all(
        Output::Table,
        &numbered,
        &["SMS SEGMENT", "CHARACTERS", "UNITS", "TEXT"],
        |(number, segment)| {
            vec![
                number.to_string(),
                segment.characters.to_string(),
                segment.units.to_string(),
                segment.text.to_owned(),
            ]
        },
    )?;
    if shown.foreign.is_empty() {
        return Ok(());
    }
    print::line("");
    print::line(&format!(
        "UCS-2 because of {}; the first of each:",
        count(plan.foreign_characters, "character")
    ));
    print::all(
        Output::Table,
        &shown.foreign,
        &["CHARACTER", "CODE POINT", "TIMES", "FIRST AT", "INSTEAD"],
        |foreign| {
            vec![
                foreign.character.to_string(),
                foreign.code_point.clone(),
                foreign.count.to_string(),
                foreign.position.to_string(),
                foreign.instead.to_owned(),
            ]
        },
    )
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}
