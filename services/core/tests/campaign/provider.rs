//! The provider: what it took, and what it says.

use omnigate_core::campaign::place::Sent;
use omnigate_core::delivery::accepted;
use omnigate_proto::v1::{ErrorClass, Receipt, ReceiptState, SendAccepted, SendError};
use std::collections::BTreeMap;

use crate::rng::Rng;

/// What it knows.
#[derive(Default)]
pub(crate) struct Provider {
    /// How often it took each piece.
    pub taken: BTreeMap<(Sent, u32), u32>,
    /// Receipts on their way.
    pub receipts: Vec<((Sent, u32), Receipt)>,
    /// It drops what it has under the same key.
    pub drops_repeated: bool,
}

/// What a call came to.
pub(crate) type Outcome = Result<SendAccepted, SendError>;

impl Provider {
    /// A call; `troubles` in a thousand go wrong.
    pub(crate) fn call(&mut self, rng: &mut Rng, of: (Sent, u32), troubles: usize) -> Outcome {
        let error = |class: ErrorClass| {
            Err(SendError {
                class: class.into(),
                ..SendError::default()
            })
        };
        let trouble = rng.per_mille(troubles).then(|| rng.below(7));
        let (takes, says) = match trouble {
            None => (true, Ok(accepted(""))),
            Some(0) => (true, error(ErrorClass::Ambiguous)),
            Some(1) => (false, error(ErrorClass::Ambiguous)),
            Some(2) => (false, error(ErrorClass::NotSent)),
            Some(3) => (false, error(ErrorClass::Throttled)),
            Some(4) => (false, error(ErrorClass::RecipientTemporary)),
            Some(5) => (false, error(ErrorClass::RecipientPermanent)),
            Some(_) => (false, error(ErrorClass::Refused)),
        };
        if takes {
            let times = self.taken.entry(of).or_default();
            *times = if self.drops_repeated { 1 } else { *times + 1 };
            let state = rng.pick(&[ReceiptState::Sent, ReceiptState::Delivered, ReceiptState::Read]);
            for _ in 0..rng.below(3) {
                let receipt = Receipt {
                    state: state.into(),
                    ..Receipt::default()
                };
                self.receipts.push((of, receipt));
            }
        }
        says
    }
}
