//! Which life of which server keeps a shard. A replica that takes over is another process, and so is a server that was
//! started again: both may lack the last that was confirmed. A server that became a master again while nobody looked has
//! another history of replication.

use bytes::Bytes;
use redis::Value;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// An answer is believed for this long: all shards of a server ask at once.
const FRESH: Duration = Duration::from_secs(1);
/// Letters of the id of a process, and of a history of replication, which tell one from all others.
const LETTERS: usize = 20;

/// The last answer of a server.
#[derive(Default)]
pub(super) struct Remembered(Mutex<Option<(Instant, Bytes)>>);

impl Remembered {
    pub(super) fn get(&self) -> Option<Bytes> {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = remembered.as_ref().filter(|(since, _)| since.elapsed() < FRESH);
        fresh.map(|(_, incarnation)| incarnation.clone())
    }

    pub(super) fn set(&self, incarnation: Bytes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), incarnation));
    }
}

/// From what `INFO` answers; `None` where that makes no sense.
pub(super) fn read(info: &Value) -> Option<Bytes> {
    let text = match info {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
        Value::VerbatimString { text, .. } => text,
        Value::SimpleString(text) => text,
        _ => return None,
    };
    let field = |name| text.lines().find_map(|line| line.strip_prefix(name));
    let (process, history) = (field("run_id:")?.trim(), field("master_replid:")?.trim());
    let (process, history) = (process.get(..LETTERS)?, history.get(..LETTERS)?);
    Some(Bytes::from(format!("{process}.{history}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(process: &str, history: &str) -> Value {
        let text =
            format!("# Server\r\nrun_id:{process}\r\n\r\n# Replication\r\nrole:master\r\nmaster_replid:{history}\r\n");
        Value::BulkString(text.into_bytes())
    }

    #[test]
    fn another_process_or_history_is_another_life() {
        let (one, other) = ("a".repeat(40), "b".repeat(40));
        let all = [info(&one, &one), info(&other, &one), info(&one, &other)].map(|info| read(&info).unwrap());
        assert_eq!(all[0], read(&info(&one, &one)).unwrap());
        assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
        assert!(all.iter().all(|incarnation| incarnation.len() <= 64));
        assert_eq!(read(&Value::BulkString(b"nonsense".to_vec())), None);
    }
}
