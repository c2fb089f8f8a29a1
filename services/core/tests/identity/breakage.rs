//! The deliberate breakages of the identity model: each drops one rule. A simulation that stays green under one of them
//! would prove nothing.

/// A rule that is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Breakage {
    /// None: what ships.
    None,
    /// An identifier is reserved without expecting that nobody has it.
    ClaimUnguarded,
    /// Who recovers a merge takes it for ended without writing so where it is decided.
    MergeAbortUnwritten,
    /// The same for a split.
    SplitAbortUnwritten,
    /// A refused reservation may be accepted later.
    RejectionForgotten,
    /// Whoever is named first survives.
    SurvivorByCallersOrder,
    /// A frozen record takes identifiers.
    FrozenTakesIdentifiers,
    /// A frozen record decides a split.
    FrozenIsSplit,
    /// The decision to merge does not look at caps again.
    CapsNotLookedAtAgain,
    /// The decision to merge does not look at its evidence again.
    EvidenceNotLookedAtAgain,
    /// A slow merger settles a record that is frozen for another transaction.
    SettledByAnother,
    /// Entries are appended at the present owner.
    AppendedAtTheOwner,
    /// The home follows the claim.
    HomeFollowsTheClaim,
    /// A reader looks for homes among the customers that were merged.
    HomesByMerges,
    /// A reader shows the whole home.
    WholeHomeShown,
    /// A reader does not ask for the verdict.
    VerdictIgnored,
    /// A merged record comes back before the verdict.
    BackBeforeTheVerdict,
    /// A merged record comes back with the identifiers it had.
    BackWithTheOldList,
    /// A split leaves no way to what went.
    NoForwardAtASplit,
    /// A record that comes back forgets where the rest of its identifiers is.
    LeftBehindForgotten,
    /// A split does not say that its sides stay apart.
    MarksNotWritten,
    /// Erasure leaves no mark in the home.
    NothingMarkedErased,
    /// History follows a number to its new holder.
    HistoryFollowsTheNumber,
    /// Nobody looks at when an identifier was erased.
    ErasureTimeIgnored,
    /// After a failover nothing is repaired.
    NothingRepaired,
    /// A claim is repaired to the younger of two customers.
    RepairedToTheYounger,
    /// Of two records that hold an identifier none gives it up.
    SecondRecordKept,
    /// What was erased is taken for lost.
    ErasedRestored,
    /// The sweep finds something to repair wherever it looks.
    RepairedAgainAndAgain,
    /// The sweep ends before the last page.
    LastPageLeftOut,
    /// Claims are not looked at.
    ClaimsLeftOut,
    /// A merge that was lost is undone without being ended where it was decided.
    LostMergeNotEnded,
    /// Former customers are not looked at.
    FormerLeftOut,
    /// A birth that is given up is not closed.
    BirthLeftOpen,
}

impl Breakage {
    /// All that break something, with the scenario that shows it where chance takes long to find it.
    pub(crate) const ALL: [(Self, Option<usize>); 23] = [
        (Self::ClaimUnguarded, None),
        (Self::MergeAbortUnwritten, None),
        (Self::SplitAbortUnwritten, None),
        (Self::RejectionForgotten, Some(15)),
        (Self::SurvivorByCallersOrder, None),
        (Self::FrozenTakesIdentifiers, None),
        (Self::FrozenIsSplit, None),
        (Self::CapsNotLookedAtAgain, None),
        (Self::EvidenceNotLookedAtAgain, None),
        (Self::SettledByAnother, Some(14)),
        (Self::AppendedAtTheOwner, None),
        (Self::HomeFollowsTheClaim, None),
        (Self::HomesByMerges, None),
        (Self::WholeHomeShown, None),
        (Self::VerdictIgnored, None),
        (Self::BackBeforeTheVerdict, None),
        (Self::BackWithTheOldList, None),
        (Self::NoForwardAtASplit, None),
        (Self::LeftBehindForgotten, None),
        (Self::MarksNotWritten, None),
        (Self::NothingMarkedErased, None),
        (Self::HistoryFollowsTheNumber, None),
        (Self::ErasureTimeIgnored, None),
    ];

    /// Those of the repair after a failover.
    pub(crate) const OF_REPAIR: [(Self, Option<usize>); 10] = [
        (Self::NothingRepaired, None),
        (Self::RepairedToTheYounger, None),
        (Self::SecondRecordKept, None),
        (Self::ErasedRestored, None),
        (Self::RepairedAgainAndAgain, None),
        (Self::LastPageLeftOut, None),
        (Self::ClaimsLeftOut, None),
        (Self::LostMergeNotEnded, Some(8)),
        (Self::FormerLeftOut, None),
        (Self::BirthLeftOpen, None),
    ];
}
