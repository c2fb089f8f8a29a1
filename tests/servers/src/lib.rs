//! Private servers for tests: each on free loopback ports, with its data in a temporary folder, stopped by its own process
//! id when dropped.
//!
//! A test asks for a shared server with `…::shared()`: the one that `OMNIGATE_TEST_RABBITMQ` or `OMNIGATE_TEST_REDIS` names
//! (set by `tests/run`), else one started for this process. A test that kills or restarts a server starts its own. Where a
//! server is not installed, tests skip with a printed line, unless `CI` is set: then they fail.

pub mod proxy;
pub mod rabbitmq;
pub mod redis;
