//! What a server's data takes of its memory, for `omnigate bench timeline`.

use super::RedisConfig;
use super::address::{Address, Layout};
use crate::OpenError;

/// Bytes that a single server uses for data and for itself; `None` for Sentinels and clusters.
///
/// # Errors
/// When the address is none, or the server does not answer.
pub async fn used(config: &RedisConfig) -> Result<Option<u64>, OpenError> {
    let address = Address::parse(&config.url).map_err(|problem| OpenError::Address(problem.to_owned()))?;
    let Layout::Single(host) = &address.layout else {
        return Ok(None);
    };
    let failed = |error: redis::RedisError| OpenError::Server(format!("redis {host}: {error}"));
    let client = address.client(host).map_err(failed)?;
    let mut connection = client.get_multiplexed_async_connection().await.map_err(failed)?;
    let info: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(&mut connection)
        .await
        .map_err(failed)?;
    let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    Ok(line.and_then(|bytes| bytes.trim().parse().ok()))
}
