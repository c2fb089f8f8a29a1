//! Deliberate breakages: each drops one rule. A simulation that stays green under one of them would prove nothing.

/// A rule that is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Breakage {
    /// None: what ships.
    None,
    /// First contact does not expect the claim it read.
    FirstContactUnguarded,
    /// A reservation does not expect the claim it read.
    ReservationUnguarded,
    /// A refused reservation is cleared without expecting that it still stands.
    RefusalUnguarded,
    /// A reservation is taken for an owner before the customer's record has accepted it, and cached as one.
    OwnerBeforeAccepted,
    /// A refused reservation may be accepted later.
    RejectionForgotten,
    /// Membership is written without expecting the record that was read.
    CustomerUnguarded,
    /// The identifier that was moved away goes on counting, and the new one is taken nevertheless.
    ReplacedNotRetired,
    /// Entries are appended without expecting the home's version.
    HomeUnguarded,
    /// An attach numbers its CustomerEvent without expecting the home's version.
    NumberUnguarded,
    /// Entries are appended without expecting their places.
    PlaceUnguarded,
    /// Earlier entries are read from a replica that lags behind.
    StaleEntries,
    /// Versions repeat.
    StampsRepeat,
    /// A commit is cut in half by a crash of the store.
    HalfCommits,
    /// An outcome that nobody knows is taken for success.
    UnknownIsCommitted,
    /// CustomerEvents are published without having been in the commit.
    OutboxNotInCommit,
    /// CustomerEvents are taken out of the outbox before they are published.
    RemovedBeforePublished,
    /// A publication that was not confirmed is taken for confirmed.
    UnconfirmedIsPublished,
    /// Nobody publishes what is left in the outbox.
    LeftoversForgotten,
    /// Deliveries are acknowledged before their events are committed.
    AckBeforeCommit,
    /// A delivery is acknowledged when the first of its threads is done.
    AckOfFirstThread,
    /// A delivery whose events could not be applied is acknowledged.
    AckOnError,
    /// Events of one thread are applied side by side.
    ThreadSideBySide,
    /// Pieces of a long message that wait are not kept.
    PiecesNotKept,
    /// No timer is set for the missing pieces of a long message.
    PieceTimerForgotten,
    /// What a long message consisted of is forgotten as soon as it is whole.
    WholeForgotten,
    /// The ids of pieces do not lead to the message that they became.
    PiecePlacesForgotten,
}

impl Breakage {
    /// All that break something.
    pub(crate) const ALL: [Self; 26] = [
        Self::FirstContactUnguarded,
        Self::ReservationUnguarded,
        Self::RefusalUnguarded,
        Self::OwnerBeforeAccepted,
        Self::RejectionForgotten,
        Self::CustomerUnguarded,
        Self::ReplacedNotRetired,
        Self::HomeUnguarded,
        Self::NumberUnguarded,
        Self::PlaceUnguarded,
        Self::StaleEntries,
        Self::StampsRepeat,
        Self::HalfCommits,
        Self::UnknownIsCommitted,
        Self::OutboxNotInCommit,
        Self::RemovedBeforePublished,
        Self::UnconfirmedIsPublished,
        Self::LeftoversForgotten,
        Self::AckBeforeCommit,
        Self::AckOfFirstThread,
        Self::AckOnError,
        Self::ThreadSideBySide,
        Self::PiecesNotKept,
        Self::PieceTimerForgotten,
        Self::WholeForgotten,
        Self::PiecePlacesForgotten,
    ];
}
