//! Commits in short, for people who replay a schedule; both simulations tell them so.

use omnigate_core::port::store::{Commit, Expect, Outcome, Write};

/// Kinds of what a commit expects and writes, by the first letter of their keys, and how it ended.
pub(crate) fn outline(commit: &Commit, outcome: &Outcome) -> String {
    let kind = |key: &bytes::Bytes| char::from(key[0]);
    let expects = commit.expect.iter().map(|expect| match expect {
        Expect::Record { key, .. } | Expect::Field { key, .. } | Expect::Member { key, .. } => kind(key),
    });
    let writes = commit.write.iter().map(|write| match write {
        Write::Put { key, .. } | Write::SetField { key, .. } | Write::Insert { key, .. } => kind(key),
        Write::Remove { .. } => '-',
        _ => '?',
    });
    let (expects, writes): (String, String) = (expects.collect(), writes.collect());
    let ended = match outcome {
        Outcome::Committed => "committed".to_owned(),
        Outcome::Unknown => "unknown".to_owned(),
        Outcome::Conflict(found) => format!("conflict at {:?}", found.iter().map(|(at, _)| at).collect::<Vec<_>>()),
    };
    format!("expects {expects} writes {writes}: {ended}")
}
