//! Asks providers for templates that the copy does not have, once for everybody who waits, and remembers the answers for a
//! moment.

use omnigate_proto::v1::{LookupTemplateRequest, ProviderTemplate};
use omnigate_rpc::AdapterPort;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::OnceCell, time::Instant};
use tonic::{Code, Request};

/// How long an answer is believed, also that there is no such template.
const KEPT: Duration = Duration::from_secs(20);
/// How long nobody is asked again after there was no answer.
const LEFT_ALONE: Duration = Duration::from_secs(3);
/// Longest wait for an answer.
const ASK_WITHIN: Duration = Duration::from_secs(6);
/// Most templates that are asked for or remembered at a time, of all accounts.
const MOST: usize = 1_000;
/// Most of one account: who invents ids must not use up the provider's calls, nor the places of other accounts.
const MOST_OF_ACCOUNT: usize = 20;

/// What a provider says about a template.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Lookup {
    /// It has these, one for each language; none when it has no such template.
    Found(Vec<ProviderTemplate>),
    /// It cannot be asked: the copy is all there is.
    Unsupported,
    /// Nobody knows at present, and why.
    Unknown(String),
}

/// Account and template.
type Asked = (String, String);
type Answer = OnceCell<(Lookup, Instant)>;

/// What is being asked and what was answered lately.
pub(crate) struct Lookups {
    adapters: Option<AdapterPort>,
    answers: Mutex<BTreeMap<Asked, Arc<Answer>>>,
}

impl Lookups {
    pub(crate) fn new(adapters: Option<AdapterPort>) -> Self {
        Self {
            adapters,
            answers: Mutex::default(),
        }
    }

    /// What the provider says about a template, now or a moment ago.
    pub(crate) async fn of(&self, account_id: &str, template_id: &str) -> Lookup {
        let Some(answer) = self.answer(account_id, template_id) else {
            return Lookup::Unknown("too many templates that nobody knows are asked for".to_owned());
        };
        // Who comes meanwhile waits for the same answer; when the caller that asks goes away, the next one asks.
        let ask = || async {
            let lookup = self.ask(account_id, template_id).await;
            let kept = match lookup {
                Lookup::Found(_) | Lookup::Unsupported => KEPT,
                Lookup::Unknown(_) => LEFT_ALONE,
            };
            (lookup, Instant::now() + kept)
        };
        answer.get_or_init(ask).await.0.clone()
    }

    /// The place of an answer; `None` when all are taken.
    fn answer(&self, account_id: &str, template_id: &str) -> Option<Arc<Answer>> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        answers.retain(|_, answer| match answer.get() {
            Some((_, until)) => *until > now,
            // Nobody waits for it any more.
            None => Arc::strong_count(answer) > 1,
        });
        let asked = (account_id.to_owned(), template_id.to_owned());
        if let Some(answer) = answers.get(&asked) {
            return Some(Arc::clone(answer));
        }
        let of_account = answers.keys().filter(|(account, _)| account == account_id).count();
        if answers.len() >= MOST || of_account >= MOST_OF_ACCOUNT {
            return None;
        }
        Some(Arc::clone(answers.entry(asked).or_default()))
    }

    async fn ask(&self, account_id: &str, template_id: &str) -> Lookup {
        let Some(adapters) = &self.adapters else {
            return Lookup::Unsupported;
        };
        let mut asked = Request::new(LookupTemplateRequest {
            account_id: account_id.to_owned(),
            template_id: template_id.to_owned(),
        });
        asked.set_timeout(ASK_WITHIN);
        match tokio::time::timeout(ASK_WITHIN, adapters.lookup_template(asked)).await {
            Ok(Ok(answer)) => Lookup::Found(answer.into_inner().templates),
            Ok(Err(status)) if status.code() == Code::Unimplemented => Lookup::Unsupported,
            Ok(Err(status)) => Lookup::Unknown(status.message().to_owned()),
            Err(_) => Lookup::Unknown("no answer in time".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
