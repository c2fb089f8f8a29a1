//! An SMSC: a message centre of a telephone network, which ESMEs bind to by SMPP 3.4.
//!
//! It checks binds and limits, takes `submit_sm` and `data_sm`, gives receipts in the standard's form and in those that are
//! met in the field, lets people write, keeps what it sends until it is acknowledged, and puts together what it got. Whoever
//! runs it has a second face: faults on demand, and a record of everything. That second face is [`SmscHandle`], and the same
//! over HTTP under `/control`.
//!
//! Left out on purpose: `outbind`, TLS, and the requests that most providers refuse (`query_sm`, `cancel_sm`, `replace_sm`,
//! `submit_multi`), which are answered `generic_nack` with ESME_RINVCMDID.

mod accepted;
mod center;
mod checks;
mod coding;
mod connection;
mod control;
mod deliveries;
mod fault;
mod flood;
mod handle;
mod journal;
mod null;
mod options;
mod pdu;
mod people;
mod pieces;
mod receipt;
mod requests;
mod server;
mod session;
pub mod status;
mod view;

pub use crate::telegram::Clock;
pub use coding::Coding;
pub use control::ControlError;
pub use fault::{Fault, FaultRule, Operation};
pub use flood::Flood;
pub use handle::SmscHandle;
pub use journal::{Counters, JournalEntry, Settled, Submission, WholeText};
pub use options::{AccountOptions, Null, Options};
pub use pdu::Address;
pub use people::{Malformed, Writes, Written};
pub use pieces::{Long, Piece};
pub use receipt::{IdForm, IdForms, NetworkError, ReceiptForm, ReceiptPlan, ReceiptRule, State, TextField};
pub use server::Smsc;
pub use view::{DeadlinePassed, View};
