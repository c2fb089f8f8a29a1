//! Addresses of Redis: alone, behind Sentinel, or a cluster.

use redis::{Client, RedisResult};
use std::fmt;

/// How to reach Redis, from `redis://`, `redis+sentinel://` or `redis+cluster://`, each also as `rediss`.
#[derive(Clone)]
pub(super) struct Address {
    pub(super) layout: Layout,
    access: Access,
}

/// Who knows where the data is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Layout {
    /// One server, `host:port`.
    Single(String),
    /// The Sentinels know which server is the master of this name.
    Sentinel {
        /// `host:port` of each.
        sentinels: Vec<String>,
        /// The master's name.
        name: String,
    },
    /// Each of these servers knows who holds what.
    Cluster(Vec<String>),
}

/// What every server of the layout wants to know.
#[derive(Clone)]
struct Access {
    tls: bool,
    /// User and password with the `@`, as in the address; a secret.
    credentials: String,
    database: String,
}

impl Address {
    /// # Errors
    /// One line about what is wrong, without the secret part.
    pub(super) fn parse(url: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = url.split_once("://").ok_or("it has no scheme")?;
        let (security, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match security {
            "redis" => false,
            "rediss" => true,
            _ => return Err("the scheme must begin with redis or rediss"),
        };
        let (credentials, rest) = match rest.rfind('@') {
            Some(at) => rest.split_at(at + 1),
            None => ("", rest),
        };
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = if kind == "sentinel" { 26_379 } else { 6379 };
        let hosts: Vec<_> = hosts
            .split(',')
            .map(|host| with_port(host, port))
            .collect::<Result<_, _>>()?;
        let (layout, database) = match kind {
            "" => match <[String; 1]>::try_from(hosts) {
                Ok([host]) => (Layout::Single(host), path),
                Err(_) => return Err("several hosts need redis+sentinel or redis+cluster"),
            },
            "sentinel" => {
                let (name, database) = path.split_once('/').unwrap_or((path, ""));
                if name.is_empty() {
                    return Err("the name of the master is missing: redis+sentinel://host:port/name");
                }
                let (sentinels, name) = (hosts, name.to_owned());
                (Layout::Sentinel { sentinels, name }, database)
            }
            "cluster" => (Layout::Cluster(hosts), path),
            _ => return Err("after the plus only sentinel or cluster is known"),
        };
        if !database.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("the database must be a number");
        }
        if kind == "cluster" && !matches!(database, "" | "0") {
            return Err("a cluster has only database 0");
        }
        let (credentials, database) = (credentials.to_owned(), database.to_owned());
        if tls {
            // Fails if the process has chosen one already, which is as good.
            rustls::crypto::ring::default_provider().install_default().ok();
        }
        let access = Access {
            tls,
            credentials,
            database,
        };
        Ok(Self { layout, access })
    }

    /// A client for the data at `host:port`.
    pub(super) fn client(&self, host: &str) -> RedisResult<Client> {
        let Access {
            tls,
            credentials,
            database,
        } = &self.access;
        let scheme = if *tls { "rediss" } else { "redis" };
        // The third protocol version tells about a lost connection at once.
        Client::open(format!("{scheme}://{credentials}{host}/{database}?protocol=resp3"))
    }

    /// A client for a Sentinel at `host:port`: they have no databases, and accounts of their own, so none is sent.
    pub(super) fn sentinel_client(&self, host: &str) -> RedisResult<Client> {
        let scheme = if self.access.tls { "rediss" } else { "redis" };
        Client::open(format!("{scheme}://{host}/?protocol=resp3"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layout.fmt(formatter)
    }
}

fn with_port(host: &str, port: u16) -> Result<String, &'static str> {
    if host.is_empty() {
        return Err("a host is missing");
    }
    let has_port = match host.rsplit_once(':') {
        // In brackets the colons belong to an IPv6 address.
        Some((_, end)) => !end.contains(']'),
        None => false,
    };
    Ok(if has_port {
        host.to_owned()
    } else {
        format!("{host}:{port}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(url: &str) -> Layout {
        Address::parse(url).unwrap().layout
    }

    #[test]
    fn layouts() {
        let single = |host: &str| Layout::Single(host.to_owned());
        assert_eq!(layout("redis://localhost"), single("localhost:6379"));
        assert_eq!(layout("rediss://u:p%40@h:1/3"), single("h:1"));
        assert_eq!(layout("redis://[::1]"), single("[::1]:6379"));
        assert_eq!(layout("redis://[::1]:7"), single("[::1]:7"));
        let hosts = vec!["a:1".to_owned(), "b:6379".to_owned()];
        assert_eq!(layout("redis+cluster://u:p@a:1,b"), Layout::Cluster(hosts));
        let sentinels = vec!["a:26379".to_owned(), "b:2".to_owned()];
        let name = "main".to_owned();
        assert_eq!(
            layout("rediss+sentinel://a,b:2/main/4"),
            Layout::Sentinel { sentinels, name }
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_secrets() {
        for url in [
            "localhost",
            "http://h",
            "redis://",
            "redis://a,b",
            "redis+x://a",
            "redis+sentinel://a",
            "redis+cluster://a/1",
            "redis://u:secret@h/x",
        ] {
            assert!(!Address::parse(url).unwrap_err().contains("secret"), "{url}");
        }
        let secret = Address::parse("redis://u:secret@h").unwrap();
        assert!(!format!("{secret:?}").contains("secret"));
    }

    #[test]
    fn clients() {
        let address = Address::parse("redis://u:p%40@h:1/3").unwrap();
        let client = address.client("other:2").unwrap();
        assert_eq!(client.get_connection_info().addr().to_string(), "other:2");
        assert_eq!(client.get_connection_info().redis_settings().password(), Some("p@"));
        assert_eq!(client.get_connection_info().redis_settings().db(), 3);
    }
}
