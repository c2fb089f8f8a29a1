//! Calls from providers of SMS: where they go, what keeps strangers out, and what they say.

use crate::settings::invalid;
use bytes::Bytes;
use ipnet::IpNet;
use omnigate_core::{
    account::{Account, App, Settings},
    port::adapter::{Invalid, Received, Reply, WebhookRequest},
};
use serde::Deserialize;
use std::{collections::BTreeMap, fmt, net::IpAddr};
use subtle::ConstantTimeEq as _;

/// Query parameter that carries `callback_token`.
pub(crate) const TOKEN: &str = "token";
/// Fewest characters that cannot be guessed.
const MIN_TOKEN: usize = 16;
const MAX_TOKEN: usize = 256;
/// Most entries of `allowed_addresses`.
const MAX_ADDRESSES: usize = 256;

/// The settings of an account, with those of its app where it has none of its own: what a provider knows as one customer
/// is written once.
pub(crate) fn merged(app: &App, account: &Account) -> Settings {
    let mut merged = app.settings.clone();
    merged.0.extend(account.settings.0.clone());
    merged
}

/// The one account of an app whose provider does not say which account a call is about.
pub(crate) fn only<'a>(provider: &str, accounts: &'a [Account]) -> Result<&'a Account, Invalid> {
    let [account] = accounts else {
        return Err(invalid(
            "app_id",
            format!(
                "an app of {provider} carries exactly one account, not {}",
                accounts.len()
            ),
        ));
    };
    Ok(account)
}

/// Where the webhook of an app is, as the provider calls it: `public_url` and the fixed path.
pub(crate) fn address(public_url: &str, app: &App) -> String {
    format!("{public_url}/v1/webhooks/{}", app.id)
}

/// An address of a setting: http or https, without query, fragment and slash at the end.
pub(crate) fn base_url(key: &str, text: &str) -> Result<String, Invalid> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain = |rest: &str| {
        let starts = rest.starts_with(|c: char| c.is_alphanumeric() || c == '[');
        starts
            && rest.len() <= 1024
            && !rest.contains(|c: char| c.is_whitespace() || c.is_control() || "?#".contains(c))
    };
    if rest.is_some_and(plain) {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(invalid(key, "must be an http or https address without query"))
    }
}

/// How calls of a provider that signs nothing are told from those of strangers.
#[derive(Clone, Deserialize, Default)]
#[serde(default)]
pub(crate) struct Written {
    /// `callback_token`: at least 16 characters that only the provider is told, as the parameter `token` of the address
    /// it calls.
    pub(crate) callback_token: Option<String>,
    /// `allowed_addresses`: addresses and networks (`203.0.113.0/24`) that may call; default all. What counts is the other
    /// end of the connection: behind a reverse proxy that is the proxy, which then has to do this itself.
    pub(crate) allowed_addresses: Option<Vec<String>>,
}

/// Keeps strangers out of an unsigned webhook. Printing does not show its token.
#[derive(Clone, Default)]
pub(crate) struct Guard {
    token: Option<String>,
    allowed: Vec<IpNet>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Guard")
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

impl Guard {
    /// Reads its settings.
    pub(crate) fn of(written: &Written) -> Result<Self, Invalid> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if let Some(token) = &written.callback_token
            && !((MIN_TOKEN..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(plain))
        {
            return Err(invalid("callback_token", "must be 16 to 256 of A-Z a-z 0-9 - _ . ~"));
        }
        let addresses = written.allowed_addresses.as_deref().unwrap_or_default();
        if addresses.len() > MAX_ADDRESSES {
            return Err(invalid("allowed_addresses", "has more than 256 entries"));
        }
        let read = |text: &String| {
            let text = text.trim();
            let network = text
                .parse::<IpNet>()
                .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map_err(|_| {
                let text: String = text.chars().take(60).collect();
                invalid("allowed_addresses", format!("{text:?} is no address and no network"))
            })
        };
        Ok(Self {
            token: written.callback_token.clone(),
            allowed: addresses.iter().map(read).collect::<Result<_, _>>()?,
        })
    }

    /// The address to be told to the provider, with the token if there is one; `None` when no call would be taken.
    pub(crate) fn address(&self, base: &str) -> Option<String> {
        match &self.token {
            Some(token) => Some(format!("{base}?{TOKEN}={token}")),
            None => (!self.is_closed()).then(|| base.to_owned()),
        }
    }

    /// True when there is neither a token nor a list of addresses: then no call is taken.
    pub(crate) fn is_closed(&self) -> bool {
        self.token.is_none() && self.allowed.is_empty()
    }

    /// The token, to be kept out of texts.
    pub(crate) fn secret(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Why a call is a stranger's, if it is.
    pub(crate) fn refuse(&self, request: &WebhookRequest, parameters: &Parameters) -> Option<&'static str> {
        if self.is_closed() {
            return Some(
                "neither callback_token nor allowed_addresses is configured, so no call can be told from a forged one",
            );
        }
        if let Some(token) = &self.token {
            match parameters.in_query(TOKEN) {
                None => return Some("the callback token is missing"),
                Some(given) if bool::from(given.as_bytes().ct_eq(token.as_bytes())) => {}
                Some(_) => return Some("the callback token is wrong"),
            }
        }
        let is_allowed = |remote: IpAddr| {
            self.allowed
                .iter()
                .any(|network| network.contains(&remote.to_canonical()))
        };
        let is_open = self.allowed.is_empty() || request.remote.is_some_and(is_allowed);
        (!is_open).then_some("the caller's address is not among the allowed ones")
    }
}

/// Parameters of a request: those of its query, and those of its body when that is a form. Of several values of a name the
/// first one counts.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Parameters {
    query: BTreeMap<String, Vec<String>>,
    form: BTreeMap<String, Vec<String>>,
}

impl Parameters {
    /// Reads a request whose body is a form, if it has one.
    pub(crate) fn of(request: &WebhookRequest) -> Self {
        Self {
            query: decoded(request.query.as_bytes()),
            form: decoded(&request.body),
        }
    }

    /// Reads the query alone.
    pub(crate) fn of_query(request: &WebhookRequest) -> Self {
        Self {
            query: decoded(request.query.as_bytes()),
            form: BTreeMap::new(),
        }
    }

    /// A value, trimmed; `None` when it is missing or empty. The body goes before the query.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        Some(self.raw(name)?.trim()).filter(|value| !value.is_empty())
    }

    /// A value as it came.
    pub(crate) fn raw(&self, name: &str) -> Option<&str> {
        let values = self.form.get(name).or_else(|| self.query.get(name))?;
        values.first().map(String::as_str)
    }

    /// A value of the query as it came.
    pub(crate) fn in_query(&self, name: &str) -> Option<&str> {
        self.query.get(name)?.first().map(String::as_str)
    }

    /// Names of all but the token.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.query.keys().chain(self.form.keys()).map(String::as_str);
        names.filter(|name| *name != TOKEN && !name.is_empty())
    }

    /// Names and values of the body in byte order, each pair once.
    pub(crate) fn sorted_form(&self) -> impl Iterator<Item = (&str, &str)> {
        self.form.iter().flat_map(|(name, values)| {
            let mut values: Vec<&str> = values.iter().map(String::as_str).collect();
            values.sort_unstable();
            values.dedup();
            values.into_iter().map(move |value| (name.as_str(), value))
        })
    }
}

fn decoded(text: &[u8]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(text) {
        found.entry(name.into_owned()).or_default().push(value.into_owned());
    }
    found
}

/// The bytes kept of a call that nobody understood: its body, else its query without the token.
pub(crate) fn kept(request: &WebhookRequest) -> Bytes {
    if !request.body.is_empty() {
        return request.body.clone();
    }
    let without_token: Vec<&str> = request
        .query
        .split('&')
        .filter(|pair| pair.split('=').next() != Some(TOKEN))
        .collect();
    Bytes::from(without_token.join("&"))
}

/// A refused call.
pub(crate) fn rejected(status: u16, problem: impl Into<String>) -> Received {
    let problem = problem.into();
    Received::Rejected {
        reply: Reply {
            status,
            content_type: "text/plain",
            body: Bytes::from(problem.clone()),
        },
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_core::time::Moment;

    const SECRET: &str = "0123456789abcdef";

    fn guard(token: Option<&str>, addresses: &[&str]) -> Result<Guard, Invalid> {
        Guard::of(&Written {
            callback_token: token.map(str::to_owned),
            allowed_addresses: Some(addresses.iter().map(|&text| text.to_owned()).collect()),
        })
    }

    fn request(query: &str, body: &str, remote: Option<&str>) -> WebhookRequest {
        WebhookRequest {
            method: "GET".into(),
            query: query.into(),
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            remote: remote.map(|text| text.parse().unwrap()),
            received_at: Moment(0),
        }
    }

    fn refused(guard: &Guard, query: &str, body: &str, remote: Option<&str>) -> bool {
        let request = request(query, body, remote);
        guard.refuse(&request, &Parameters::of(&request)).is_some()
    }

    #[test]
    fn only_who_knows_the_token_may_call() {
        let guard = guard(Some(SECRET), &[]).unwrap();
        assert!(!refused(&guard, "a=1&token=0123456789abcdef", "", None));
        for query in [
            "",
            "token",
            "token=",
            "token=0123456789abcdeg",
            "token=0123456789abcdef0",
        ] {
            assert!(refused(&guard, query, "", None), "{query}");
        }
        assert!(
            refused(&guard, "", "token=0123456789abcdef", None),
            "in the body it would be logged"
        );
        assert!(refused(&Guard::default(), "token=", "", None));
        assert!(!format!("{guard:?}").contains(SECRET));
    }

    #[test]
    fn addresses_can_be_listed() {
        let guard = guard(Some(SECRET), &["203.0.113.0/24", " 2001:db8::1 "]).unwrap();
        let query = "token=0123456789abcdef";
        for (remote, is_refused) in [
            (Some("203.0.113.7"), false),
            (Some("::ffff:203.0.113.7"), false),
            (Some("2001:db8::1"), false),
            (Some("2001:db8::2"), true),
            (Some("198.51.100.1"), true),
            (None, true),
        ] {
            assert_eq!(refused(&guard, query, "", remote), is_refused, "{remote:?}");
        }
        assert_eq!(
            self::guard(Some(SECRET), &["gateway"]).unwrap_err().key,
            "allowed_addresses"
        );
        let alone = self::guard(None, &["203.0.113.0/24"]).unwrap();
        assert!(!refused(&alone, "", "", Some("203.0.113.7")));
        assert!(!refused(&alone, "token=anything", "", Some("203.0.113.7")));
        for stranger in [Some("198.51.100.1"), None] {
            assert!(refused(&alone, query, "", stranger), "{stranger:?}");
        }
        let told = |guard: &Guard| guard.address("https://x/y");
        assert_eq!(told(&alone).as_deref(), Some("https://x/y"));
        assert_eq!(told(&guard).as_deref(), Some("https://x/y?token=0123456789abcdef"));
        assert_eq!(told(&Guard::default()), None);
    }

    #[test]
    fn a_token_that_can_be_guessed_is_none() {
        for token in ["", "short", "with space and more", "0123456789abcde&"] {
            assert_eq!(guard(Some(token), &[]).unwrap_err().key, "callback_token", "{token}");
        }
    }

    #[test]
    fn the_body_goes_before_the_query() {
        let request = request("a=1&a=2&b=%C4%91+x&token=t", "a=3&c=", None);
        let parameters = Parameters::of(&request);
        assert_eq!(
            (parameters.get("a"), parameters.get("b"), parameters.get("c")),
            (Some("3"), Some("đ x"), None)
        );
        assert_eq!(parameters.names().collect::<Vec<_>>(), ["a", "b", "a", "c"]);
        assert_eq!(kept(&self::request("a=1&token=t", "", None)), "a=1");
    }

    #[test]
    fn addresses_of_settings_are_checked() {
        assert_eq!(base_url("k", "https://x.example/gw/").unwrap(), "https://x.example/gw");
        for wrong in [
            "",
            "x.example",
            "ftp://x",
            "https://",
            "https://x?a=b",
            "https://x#a",
            "https://a b",
        ] {
            assert!(base_url("k", wrong).is_err(), "{wrong}");
        }
    }
}
