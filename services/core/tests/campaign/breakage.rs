//! Deliberate breakages: each takes one rule away, and the simulation has to notice.

/// What is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Breakage {
    None,
    /// Rows are written without looking whether somebody else did.
    RowUnguarded,
    /// Claims and submissions do not look at the campaign's state.
    ControlUnguarded,
    /// How far planning has come is not kept with the rows.
    CursorForgotten,
    /// Rows that wait set no timer.
    TimerForgotten,
    /// A commit of which nobody knows is taken to have happened.
    UnknownIsCommitted,
    /// Half a commit is written where its answer is lost.
    HalfCommits,
    /// Counters are not written with the rows.
    TallyForgotten,
    /// A dispatcher calls the provider however late it is.
    LeaseIgnored,
    /// A submission that was lost is sent again.
    RecoveryResends,
    /// A pause is over before every shard knows of it.
    PauseNotSpread,
}

impl Breakage {
    pub(crate) const ALL: [Self; 10] = [
        Self::RowUnguarded,
        Self::ControlUnguarded,
        Self::CursorForgotten,
        Self::TimerForgotten,
        Self::UnknownIsCommitted,
        Self::HalfCommits,
        Self::TallyForgotten,
        Self::LeaseIgnored,
        Self::RecoveryResends,
        Self::PauseNotSpread,
    ];
}
