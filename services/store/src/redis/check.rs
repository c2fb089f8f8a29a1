//! What an operator should know about a Redis before messages are trusted to it.

use std::fmt;

/// The oldest release whose scripts stop before their first write when memory or replicas are short.
const OLDEST: (u32, u32) = (7, 0);

/// Something about a server that endangers what it keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StartCheck {
    /// After a restart it has forgotten what it answered as committed.
    AppendOnlyOff {
        /// `host:port`.
        server: String,
    },
    /// Short of memory it throws data away.
    Evicts {
        /// `host:port`.
        server: String,
        /// Its `maxmemory-policy`.
        policy: String,
    },
    /// It is older than any release that this was made for.
    TooOld {
        /// `host:port`.
        server: String,
        /// Its version.
        version: String,
    },
}

impl fmt::Display for StartCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AppendOnlyOff { server } => write!(
                formatter,
                "redis {server} forgets on restart: set appendonly yes and appendfsync always"
            ),
            Self::Evicts { server, policy } => write!(
                formatter,
                "redis {server} throws data away when memory is short: set maxmemory-policy noeviction instead of {policy}"
            ),
            Self::TooOld { server, version } => write!(
                formatter,
                "redis {server} is version {version}, at least {}.{} is needed",
                OLDEST.0, OLDEST.1
            ),
        }
    }
}

/// What a server's `INFO` says against it.
pub(super) fn findings(server: &str, info: &str) -> Vec<StartCheck> {
    let value = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim().to_owned()
    };
    let server = server.to_owned();
    let mut findings = Vec::new();
    let version = value("redis_version");
    if parse(&version) < OLDEST {
        let server = server.clone();
        findings.push(StartCheck::TooOld { server, version });
    }
    if value("aof_enabled") != "1" {
        let server = server.clone();
        findings.push(StartCheck::AppendOnlyOff { server });
    }
    let policy = value("maxmemory_policy");
    if policy != "noeviction" {
        findings.push(StartCheck::Evicts { server, policy });
    }
    findings
}

fn parse(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}
