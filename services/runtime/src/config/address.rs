//! Addresses and words with a fixed form.

use super::{
    node::Node,
    setting::{Row, Setting, plain},
};
use omnigate_core::account::AdapterRef;
use toml::Value;

/// Where to listen: `host:port`, port 0 for any free one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address(pub String);

/// Where another process listens: `host:port`, or `https://host:port` with TLS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint(pub String);

impl Endpoint {
    /// With its scheme: `http://` unless another was given.
    #[must_use]
    pub fn url(&self) -> String {
        if self.0.contains("://") {
            self.0.clone()
        } else {
            format!("http://{}", self.0)
        }
    }
}

/// Format of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A host and a port, both there; IPv6 addresses stand in brackets.
fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_is_one = match inside {
        Some(inside) => inside.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && !host.contains([':', '/', '@', ' ', '?', '#', '[', ']']),
    };
    host_is_one && port.parse::<u16>().is_ok()
}

fn address(node: &Node<'_>) -> Option<Address> {
    let text = node.value.as_str()?.trim();
    is_host_and_port(text).then(|| Address(text.to_owned()))
}

fn endpoint(node: &Node<'_>) -> Option<Endpoint> {
    let text = node.value.as_str()?.trim().trim_end_matches('/');
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    is_host_and_port(rest.unwrap_or(text)).then(|| Endpoint(text.to_owned()))
}

fn format(node: &Node<'_>) -> Option<LogFormat> {
    match node.value.as_str()?.trim() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

fn adapter(node: &Node<'_>) -> Option<AdapterRef> {
    let text = node.value.as_str()?.trim();
    if text == "builtin" {
        return Some(AdapterRef::Builtin);
    }
    let address = text.strip_prefix("grpc://")?;
    is_host_and_port(address).then(|| AdapterRef::Grpc(address.to_owned()))
}

fn adapter_text(adapter: &AdapterRef) -> Value {
    Value::String(match adapter {
        AdapterRef::Builtin => "builtin".to_owned(),
        AdapterRef::Grpc(address) => format!("grpc://{address}"),
    })
}

plain!(Address, "an address host:port", address, |v| Value::String(v.0.clone()));
plain!(Endpoint, "an address host:port or https://host:port", endpoint, |v| {
    Value::String(v.0.clone())
});
plain!(LogFormat, "\"text\" or \"json\"", format, |v| {
    Value::String(if *v == LogFormat::Text { "text" } else { "json" }.to_owned())
});
plain!(AdapterRef, "\"builtin\" or \"grpc://host:port\"", adapter, adapter_text);
