//! Why a whole push is answered with an error.

use tonic::Status;

/// Why a push was not taken, or not known to be taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum TurnedAway {
    /// The request breaks a limit of the contract.
    #[error("{0}")]
    TooLarge(String),
    /// The caller's token belongs to other accounts.
    #[error("the token does not allow to push for account {0:?}")]
    ForeignAccount(String),
    /// The process holds as much as it may.
    #[error("too much is in flight; push again a little later")]
    TooMuchInFlight,
    /// The broker's queue is at its limit.
    #[error("the broker's queue is full; push again later")]
    QueueFull,
    /// Nobody knows whether the broker has it.
    #[error("the broker did not confirm in time; push the same again, what is doubled is dropped")]
    Unconfirmed,
    /// The process is going away.
    #[error("this process is stopping; push to another one")]
    Stopping,
}

impl TurnedAway {
    /// Stable reason, in errors and in metrics.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "PUSH_TOO_LARGE",
            Self::ForeignAccount(_) => "FOREIGN_ACCOUNT",
            Self::TooMuchInFlight => "TOO_MUCH_IN_FLIGHT",
            Self::QueueFull => "QUEUE_FULL",
            Self::Unconfirmed => "BROKER_UNCONFIRMED",
            Self::Stopping => "STOPPING",
        }
    }
}

impl From<TurnedAway> for Status {
    fn from(why: TurnedAway) -> Self {
        let text = why.to_string();
        match why {
            TurnedAway::TooLarge(_) => Self::invalid_argument(text),
            TurnedAway::ForeignAccount(_) => Self::permission_denied(text),
            TurnedAway::TooMuchInFlight | TurnedAway::QueueFull => Self::resource_exhausted(text),
            TurnedAway::Unconfirmed | TurnedAway::Stopping => Self::unavailable(text),
        }
    }
}
