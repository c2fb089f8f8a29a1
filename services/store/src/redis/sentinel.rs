//! Who is the master, as the Sentinels see it.

use super::{address::Address, node::Connection};
use redis::{Value, aio::MultiplexedConnection, cmd};
use std::time::Duration;

/// A Sentinel has its answer in memory.
const ANSWER: Duration = Duration::from_millis(500);

/// `host:port` of the master, from the first Sentinel that knows it.
pub(super) async fn master(address: &Address, sentinels: &[String], name: &str) -> Result<String, String> {
    let mut last = "no sentinel is named".to_owned();
    for sentinel in sentinels {
        match ask(address, sentinel, name).await {
            Ok(Some(master)) => return Ok(master),
            Ok(None) => last = format!("sentinel {sentinel} knows no master of this name"),
            Err(error) => last = format!("sentinel {sentinel}: {error}"),
        }
    }
    Err(last)
}

async fn ask(address: &Address, sentinel: &str, name: &str) -> redis::RedisResult<Option<String>> {
    let client = address.sentinel_client(sentinel)?;
    let mut connection = Connection::open(&client, ANSWER).await?;
    let mut question = cmd("SENTINEL");
    question.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let found: Option<(String, u16)> = question.query_async(&mut connection.link).await?;
    Ok(found.map(|(host, port)| {
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }))
}

/// A Sentinel may name a master that has already been told to follow another.
pub(super) async fn require_master(mut connection: MultiplexedConnection) -> Result<(), String> {
    let role = cmd("ROLE").query_async::<Vec<Value>>(&mut connection).await;
    let is_master = |role: &Value| matches!(role, Value::BulkString(role) if role == b"master");
    match role {
        Ok(role) if role.first().is_some_and(is_master) => Ok(()),
        Ok(_) => Err("the master that sentinel names follows another".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
