//! Deliberate breakages: each drops one rule. A simulation that stays green under one of them would prove nothing.

/// A rule that is broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Breakage {
    /// None: what ships.
    None,
    /// An attempt is begun without expecting the delivery that was read.
    BeginUnguarded,
    /// Who begins again after an error does not know its own attempt any more.
    LeaseForgotten,
    /// Answers, receipts and timers change a delivery without expecting the one that was read.
    AnswerUnguarded,
    /// A message is taken back without expecting the delivery that was read.
    CancelUnguarded,
    /// A home is written without expecting the one that was read.
    HomeUnguarded,
    /// A request is remembered without expecting that it was not.
    RequestUnguarded,
    /// The timer of an attempt is not set when it begins.
    TimerNotMoved,
    /// What was given up is sent again, whatever the sender allowed.
    RecoveryResends,
    /// A message leaves its thread's chain when its attempt begins.
    ChainLeftAtBegin,
    /// An answer is taken for the present attempt whichever it belongs to.
    OlderAnswerTaken,
    /// A submission of which nobody knows whether it left is taken for one that did not.
    AmbiguousIsNotSent,
    /// The provider is called without a durable intent.
    IntentSkipped,
    /// The provider is called however little is left of the lease.
    LeaseIgnored,
    /// Edge submits after the deadline.
    DeadlineIgnored,
    /// Hints get lost and nobody looks at timers.
    TimersIgnored,
    /// Receipts that come before our own record are forgotten.
    EarlyReceiptsForgotten,
    /// The last receipt counts, whatever was known before.
    ReceiptsOverwrite,
    /// A receipt is acknowledged before it is applied.
    ReceiptAckedEarly,
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
    /// Nobody publishes what is left in the outbox.
    LeftoversForgotten,
    /// What somebody opted out of is not kept in their thread.
    WishForgotten,
    /// An attempt begins without expecting the home whose wishes and window it was measured against.
    WishesUnguarded,
    /// Messages leave without a look at the reply window.
    WindowIgnored,
    /// That the alternative has to leave is not kept.
    AlternativeForgotten,
    /// The message itself leaves where its alternative should.
    OriginalLeaves,
    /// A confirmation of opting out has another request id each time.
    ConfirmedAnew,
    /// What somebody did is acknowledged before it took effect and was confirmed.
    ActAckedEarly,
    /// What somebody opted out of is not kept in the ledger of consents.
    LedgerForgotten,
    /// Who is put on the suppression list is not kept there.
    SuppressionForgotten,
}

impl Breakage {
    /// All that break something.
    pub(crate) const ALL: [Self; 33] = [
        Self::BeginUnguarded,
        Self::LeaseForgotten,
        Self::AnswerUnguarded,
        Self::CancelUnguarded,
        Self::HomeUnguarded,
        Self::RequestUnguarded,
        Self::TimerNotMoved,
        Self::RecoveryResends,
        Self::ChainLeftAtBegin,
        Self::OlderAnswerTaken,
        Self::AmbiguousIsNotSent,
        Self::IntentSkipped,
        Self::LeaseIgnored,
        Self::DeadlineIgnored,
        Self::TimersIgnored,
        Self::EarlyReceiptsForgotten,
        Self::ReceiptsOverwrite,
        Self::ReceiptAckedEarly,
        Self::StampsRepeat,
        Self::HalfCommits,
        Self::UnknownIsCommitted,
        Self::OutboxNotInCommit,
        Self::RemovedBeforePublished,
        Self::LeftoversForgotten,
        Self::WishForgotten,
        Self::WishesUnguarded,
        Self::WindowIgnored,
        Self::AlternativeForgotten,
        Self::OriginalLeaves,
        Self::ConfirmedAnew,
        Self::ActAckedEarly,
        Self::LedgerForgotten,
        Self::SuppressionForgotten,
    ];
}
