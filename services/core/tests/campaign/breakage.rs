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
    /// After a failover nobody makes up for what was announced.
    LogNotRead,
    /// The log is read while a forgotten submission may still be under way.
    ReadTooSoon,
}

impl Breakage {
    /// True for what shows after a failover alone.
    pub(crate) fn needs_failover(self) -> bool {
        matches!(self, Self::LogNotRead | Self::ReadTooSoon)
    }

    pub(crate) const ALL: [Self; 12] = [
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
        Self::LogNotRead,
        Self::ReadTooSoon,
    ];
}
