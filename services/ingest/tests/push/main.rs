//! The role from outside, against a broker that confirms when the test says so.

#[cfg(test)]
mod fake_broker;
#[cfg(test)]
mod newer;
#[cfg(test)]
mod promises;
