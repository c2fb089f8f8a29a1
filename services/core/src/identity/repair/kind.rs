//! Kinds of what is put right.

/// What was found and put right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Repair {
    /// A record stayed frozen.
    Thawed,
    /// A claim did not lead to the member.
    ClaimRestored,
    /// A claim led to a record that did not know the identifier.
    MemberRestored,
    /// A record was gone of which others tell.
    CustomerRestored,
    /// Two records held the same part of a thread.
    HeldTwice,
    /// An identifier was born anew while its owner was there.
    BornTwice,
    /// A merge was unknown to the record that had decided it.
    MergeUndone,
    /// A merge was unknown to the record that had been merged.
    MergeRestored,
    /// A split was unknown to one of its two records.
    SplitRestored,
    /// Something that was erased was there again.
    ErasedAgain,
}

impl Repair {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Thawed,
        Self::ClaimRestored,
        Self::MemberRestored,
        Self::CustomerRestored,
        Self::HeldTwice,
        Self::BornTwice,
        Self::MergeUndone,
        Self::MergeRestored,
        Self::SplitRestored,
        Self::ErasedAgain,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Thawed => "THAWED",
            Self::ClaimRestored => "CLAIM_RESTORED",
            Self::MemberRestored => "MEMBER_RESTORED",
            Self::CustomerRestored => "CUSTOMER_RESTORED",
            Self::HeldTwice => "HELD_TWICE",
            Self::BornTwice => "BORN_TWICE",
            Self::MergeUndone => "MERGE_UNDONE",
            Self::MergeRestored => "MERGE_RESTORED",
            Self::SplitRestored => "SPLIT_RESTORED",
            Self::ErasedAgain => "ERASED_AGAIN",
        }
    }
}
