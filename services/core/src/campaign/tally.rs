//! How many recipients stand where: counted as rows change, and summed up for people.

use super::ledger::{MAX_STEPS, state};
use omnigate_proto::state::v1::RecipientRow;
use omnigate_proto::v1::DeliveryState;
use std::collections::BTreeMap;

/// Where a recipient is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cell {
    /// Position of their step.
    pub step: u8,
    /// State there.
    pub state: DeliveryState,
    /// True when nothing more happens by itself.
    pub settled: bool,
}

impl Cell {
    /// Where a row is counted.
    #[must_use]
    pub fn of(row: &RecipientRow) -> Self {
        Self {
            step: u8::try_from(row.step).unwrap_or(u8::MAX),
            state: state(row),
            settled: row.settled,
        }
    }

    /// As a number below 256, for the name of its counter.
    #[must_use]
    pub fn code(self) -> u8 {
        let state = u8::try_from(i32::from(self.state)).unwrap_or(0) & 0x0f;
        self.step << 5 | u8::from(self.settled) << 4 | state
    }

    /// Back from a code; `None` for none that counts anybody.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        let step = code >> 5;
        let state = DeliveryState::try_from(i32::from(code & 0x0f)).ok()?;
        (usize::from(step) < MAX_STEPS && state != DeliveryState::Unspecified).then_some(Self {
            step,
            state,
            settled: code & 0x10 != 0,
        })
    }

    /// Every place where a recipient of a campaign with so many steps may be counted.
    pub fn all(steps: usize) -> impl Iterator<Item = Self> {
        let cells = (0..=u8::MAX).filter_map(Self::from_code);
        cells.filter(move |cell| usize::from(cell.step) < steps)
    }
}

/// How the counters change with the rows of a commit.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Moves(BTreeMap<Cell, i64>);

impl Moves {
    /// A row was written in the place of another, or where none was.
    pub fn row(&mut self, before: Option<&RecipientRow>, after: &RecipientRow) {
        if let Some(before) = before {
            *self.0.entry(Cell::of(before)).or_default() -= 1;
        }
        *self.0.entry(Cell::of(after)).or_default() += 1;
    }

    /// How many more have not ended.
    #[must_use]
    pub fn open(&self) -> i64 {
        let open = self.0.iter().filter(|(cell, _)| !cell.settled);
        open.map(|(_, delta)| delta).sum()
    }

    /// What is to be added to which counter.
    pub fn deltas(&self) -> impl Iterator<Item = (Cell, i64)> {
        self.0
            .iter()
            .map(|(cell, delta)| (*cell, *delta))
            .filter(|(_, delta)| *delta != 0)
    }
}

/// Sums over a campaign.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Sums {
    cells: BTreeMap<Cell, u64>,
}

impl Sums {
    /// Adds what a counter says.
    pub fn add(&mut self, cell: Cell, counted: i64) {
        if let Ok(counted) = u64::try_from(counted)
            && counted > 0
        {
            *self.cells.entry(cell).or_default() += counted;
        }
    }

    /// Everybody.
    #[must_use]
    pub fn recipients(&self) -> u64 {
        self.cells.values().sum()
    }

    /// Those of whom nothing more happens by itself.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.of(|cell| cell.settled)
    }

    /// Those whose fate nobody knows.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.of(|cell| cell.state == DeliveryState::Unknown)
    }

    /// Those in a state, at whatever step.
    #[must_use]
    pub fn in_state(&self, state: DeliveryState) -> u64 {
        self.of(|cell| cell.state == state)
    }

    /// Those at a step, by state.
    pub fn at_step(&self, step: u8) -> impl Iterator<Item = (DeliveryState, u64)> {
        let cells = self.cells.iter().filter(move |(cell, _)| cell.step == step);
        cells.map(|(cell, count)| (cell.state, *count))
    }

    /// Those who have left a step for a later one.
    #[must_use]
    pub fn went_on(&self, step: u8) -> u64 {
        self.of(|cell| cell.step > step)
    }

    /// How many steps providers have taken, as far as that can be seen by where recipients stand now: those that were left
    /// behind count, taken or not.
    #[must_use]
    pub fn taken(&self) -> u64 {
        let taken = |state| {
            matches!(
                state,
                DeliveryState::Accepted | DeliveryState::Sent | DeliveryState::Delivered | DeliveryState::Read
            )
        };
        let cells = self.cells.iter();
        cells
            .map(|(cell, count)| count * (u64::from(cell.step) + u64::from(taken(cell.state))))
            .sum()
    }

    /// The first step at which somebody has not ended.
    #[must_use]
    pub fn first_open(&self) -> Option<u8> {
        let open = self.cells.keys().filter(|cell| !cell.settled);
        open.map(|cell| cell.step).min()
    }

    /// How much is done, in ten-thousandths; never all of it while somebody's fate is unknown or somebody has not ended.
    #[must_use]
    pub fn done(&self) -> u32 {
        let all = self.recipients();
        let done = self.of(|cell| cell.settled && cell.state != DeliveryState::Unknown);
        if all == 0 || done == all {
            return 10_000;
        }
        u32::try_from(u128::from(done) * 10_000 / u128::from(all)).unwrap_or(0)
    }

    fn of(&self, counts: impl Fn(&Cell) -> bool) -> u64 {
        let cells = self.cells.iter().filter(|(cell, _)| counts(cell));
        cells.map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_has_its_own_code() {
        let all: Vec<Cell> = Cell::all(MAX_STEPS).collect();
        assert_eq!(all.len(), MAX_STEPS * 2 * 13);
        for cell in all {
            assert_eq!(Cell::from_code(cell.code()), Some(cell));
        }
    }

    #[test]
    fn it_is_never_all_done_while_somebodys_fate_is_unknown() {
        let mut sums = Sums::default();
        let cell = |state, settled| Cell {
            step: 0,
            state,
            settled,
        };
        sums.add(cell(DeliveryState::Delivered, true), 999_999);
        sums.add(cell(DeliveryState::Unknown, true), 1);
        assert_eq!(
            (sums.recipients(), sums.settled(), sums.unknown()),
            (1_000_000, 1_000_000, 1)
        );
        assert_eq!(sums.done(), 9_999);
        let mut sums = Sums::default();
        sums.add(cell(DeliveryState::Delivered, true), 1);
        assert_eq!(sums.done(), 10_000);
        sums.add(cell(DeliveryState::Accepted, false), 1);
        assert_eq!(sums.done(), 5_000);
    }
}
