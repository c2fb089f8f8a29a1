//! How figures are told: medians of the rounds, beside what else was measured in the same rounds, and against the goals.

use crate::cli::Output;
use crate::commands::print;
use serde::Serialize;

/// What every figure may be compared with: the simplest loop that does the same.
pub(super) const BARE: &str = "bare";

/// A figure over all rounds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    pub(super) what: String,
    pub(super) median: f64,
    pub(super) unit: &'static str,
    /// Medians of the ratios to something else of the same round.
    pub(super) ratios: Vec<Ratio>,
    pub(super) goals: Vec<Goal>,
}

/// How many times as much.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Ratio {
    pub(super) to: String,
    pub(super) times: f64,
}

/// What a figure should be (DESIGN §10).
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Goal {
    pub(super) goal: String,
    pub(super) is_met: bool,
}

impl Line {
    pub(super) fn new(what: impl Into<String>, median: f64, unit: &'static str) -> Self {
        Self {
            what: what.into(),
            median,
            unit,
            ratios: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// Beside something else.
    pub(super) fn beside(mut self, to: &str, times: f64) -> Self {
        let to = to.to_owned();
        self.ratios.push(Ratio { to, times });
        self
    }

    /// At least so many times as much as something that it stands beside; no goal where that was not measured.
    pub(super) fn at_least(mut self, to: &str, least: f64) -> Self {
        if let Some(ratio) = self.ratios.iter().find(|ratio| ratio.to == to) {
            self.goals.push(Goal {
                goal: format!("≥ {least} × {to}"),
                is_met: ratio.times >= least,
            });
        }
        self
    }

    /// At least this.
    pub(super) fn above(mut self, least: f64) -> Self {
        self.goals.push(Goal {
            goal: format!("≥ {least} {}", self.unit),
            is_met: self.median >= least,
        });
        self
    }

    /// Less than this.
    pub(super) fn below(mut self, most: f64) -> Self {
        self.goals.push(Goal {
            goal: format!("< {most} {}", self.unit),
            is_met: self.median < most,
        });
        self
    }
}

/// The middle one of a few figures.
pub(super) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Prints what was measured: for people a title and the lines, else everything.
pub(super) fn print(output: Output, title: &str, measured: &impl Serialize, lines: &[Line]) -> anyhow::Result<()> {
    if output == Output::Json {
        return print::json(&serde_json::json!({ "measured": measured, "medians": lines }));
    }
    let mut others: Vec<&str> = Vec::new();
    for ratio in lines.iter().flat_map(|line| &line.ratios) {
        if !others.contains(&ratio.to.as_str()) {
            others.push(&ratio.to);
        }
    }
    print::line(title);
    let beside: Vec<String> = others.iter().map(|other| format!("× {other}")).collect();
    let mut head = vec!["median of rounds", "", ""];
    head.extend(beside.iter().map(String::as_str));
    head.extend(["goal", ""]);
    print::all(output, lines, &head, |line| {
        let mut row = vec![
            line.what.clone(),
            format!("{:.*}", usize::from(line.median < 100.0), line.median),
            line.unit.to_owned(),
        ];
        row.extend(others.iter().map(|other| {
            let ratio = line.ratios.iter().find(|ratio| ratio.to == *other);
            ratio.map_or_else(String::new, |ratio| format!("{:.2}", ratio.times))
        }));
        row.push(told(line, |goal| &goal.goal));
        row.push(told(line, |goal| if goal.is_met { "met" } else { "missed" }));
        row
    })
}

/// One goal a line.
fn told(line: &Line, of: impl Fn(&Goal) -> &str) -> String {
    line.goals.iter().map(of).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_judged_by_what_was_measured() {
        let line = Line::new("rate", 90.0, "messages/s")
            .beside("kannel", 1.5)
            .beside(BARE, 0.4);
        let judged = line
            .at_least("kannel", 1.5)
            .at_least(BARE, 0.5)
            .at_least("jasmin", 10.0)
            .below(90.0);
        let goals: Vec<_> = judged
            .goals
            .iter()
            .map(|goal| (goal.goal.as_str(), goal.is_met))
            .collect();
        let expected = [
            ("≥ 1.5 × kannel", true),
            ("≥ 0.5 × bare", false),
            ("< 90 messages/s", false),
        ];
        assert_eq!(goals, expected);
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median([5.0, 1.0, 3.0].into_iter()), 3.0);
        assert_eq!(median(std::iter::empty()), 0.0);
    }
}
