//! Why a whole push is answered with an error.

use omnigate_rpc::error::{ErrorCode, Problem};
use std::time::Duration;

/// When a push that found no room may come again.
const SOON: Duration = Duration::from_secs(1);

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
            Self::ForeignAccount(_) => "ACCOUNT_FORBIDDEN",
            Self::TooMuchInFlight => "TOO_MUCH_IN_FLIGHT",
            Self::QueueFull => "QUEUE_FULL",
            Self::Unconfirmed => "BROKER_UNCONFIRMED",
            Self::Stopping => "STOPPING",
        }
    }
}

impl From<TurnedAway> for Problem {
    fn from(why: TurnedAway) -> Self {
        let text = why.to_string();
        match &why {
            TurnedAway::TooLarge(_) => Self::new(ErrorCode::InvalidArgument, why.reason(), text),
            TurnedAway::ForeignAccount(account) => Self::denied(why.reason(), text).with("account_id", account),
            TurnedAway::TooMuchInFlight | TurnedAway::QueueFull => Self::exhausted(why.reason(), text, SOON),
            TurnedAway::Unconfirmed | TurnedAway::Stopping => Self::unavailable(why.reason(), text),
        }
    }
}
