//! The gateway as a whole: the command line and the one place where roles, ports and adapters meet.

mod bench;
pub mod cli;
pub mod commands;
mod demo;
pub mod node;
