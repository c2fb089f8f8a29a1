//! Configuration, telemetry, health, graceful stop and supervised tasks: what every role needs around its work.

pub mod beat;
pub mod clock;
pub mod config;
pub mod health;
pub mod http;
pub mod listen;
pub mod log;
pub mod role;
pub mod stop;
pub mod task;
pub mod telemetry;
