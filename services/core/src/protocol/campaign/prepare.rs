//! What becomes of claimed recipients, looked at at the moment of sending: who they are now, what is said to them and where, and
//! whether law and wishes allow it. Nothing of it is remembered from before.

mod ahead;
mod entry;
mod limits;
mod twins;

use ahead::Ahead;
pub(super) use entry::{Left, tell};
pub use limits::give_back;

use super::bucket::Recipient;
use super::work::Batch;
use crate::account::Account;
use crate::append::ThreadKey;
use crate::campaign::ledger::{Verdict, is_untouched};
use crate::campaign::letter::{self, Address, Through};
use crate::campaign::place::{Place, Sent};
use crate::consent::{Asked, MarketingDefault, effective, needs_consent};
use crate::id::{AudienceId, Birth, CustomerId, MessageId};
use crate::keys;
use crate::policy::law::{self, Law};
use crate::policy::zone::{Whereabouts, zones};
use crate::port::store::{Query, StoreError};
use crate::protocol::audience;
use crate::protocol::consent::{Whom, advertising, suppressed};
use crate::protocol::context::{Context, Stop, as_range};
use crate::protocol::read::{self, Whole};
use crate::sms::phone;
use crate::template::{self, Ready, Refusal};
use crate::time::zone;
use crate::trace::TraceContext;
use crate::window;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::tz::TimeZone;
use omnigate_proto::state::v1::MemberRecord;
use omnigate_proto::v1::{Campaign, Customer, Identifier, Message, Purpose, RecipientReason, ReplyWindowRule};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Recipients that are looked at side by side.
const SIDE_BY_SIDE: usize = 64;

/// What recipients are looked at with.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// Account that is sent through.
    pub account: &'a Account,
    /// Templates by position of their step.
    pub templates: &'a BTreeMap<u32, Arc<Ready>>,
    /// The list that the campaign is for; `None` for a segment.
    pub list: Option<AudienceId>,
    /// What holds for advertising to somebody of whom nothing is known.
    pub marketing: MarketingDefault,
    /// When a peer may be written to; `None` when always.
    pub window: Option<&'a ReplyWindowRule>,
    /// True to only look: no place is taken of what a customer may get.
    pub only_looks: bool,
}

/// What is decided about a recipient.
#[derive(Clone, PartialEq, Debug)]
pub struct Prepared {
    /// Whose.
    pub place: Place,
    /// What happens.
    pub verdict: Verdict,
    /// Why, for people; holds no value of theirs. Empty where the verdict says it all.
    pub problem: String,
    /// What is sent, and where; set where it was come to.
    pub letter: Option<Letter>,
}

/// What is sent to a recipient.
#[derive(Clone, PartialEq, Debug)]
pub struct Letter {
    /// Its id.
    pub id: MessageId,
    /// The customer as they are now.
    pub customer: CustomerId,
    /// Record in which the thread lives.
    pub home: CustomerId,
    /// The thread.
    pub thread: ThreadKey,
    /// What it says.
    pub message: Message,
    /// True when it takes a place of what the customer may get.
    pub counted: bool,
}

impl Letter {
    /// The trace of the message, which its id names, so that every attempt at it is found together.
    #[must_use]
    pub fn trace(&self, span: [u8; 8]) -> TraceContext {
        TraceContext::root(self.id.0, span)
    }
}

/// Decides about claimed recipients, all of whose steps go through the account.
pub async fn prepare(context: &Context<'_>, batch: &Batch, terms: Terms<'_>) -> Result<Vec<Prepared>, Stop> {
    let rows = rows(context, batch, terms.list).await?;
    let customers = batch.recipients.iter();
    let customers = customers.filter_map(|recipient| CustomerId::from_bytes(&recipient.row.customer));
    let ahead = Ahead::read(context, batch.bucket.shard, &customers.collect::<Vec<_>>()).await?;
    let context = &Context {
        store: &ahead,
        ..*context
    };
    let looks = batch.recipients.iter().zip(rows);
    let looks: Vec<_> = looks.map(|of| look(context, batch, terms, of)).collect();
    stream::iter(looks).buffer_unordered(SIDE_BY_SIDE).try_collect().await
}

/// What the list says of each recipient.
async fn rows(
    context: &Context<'_>,
    batch: &Batch,
    list: Option<AudienceId>,
) -> Result<Vec<Option<MemberRecord>>, StoreError> {
    let Some(list) = list else {
        return Ok(vec![None; batch.recipients.len()]);
    };
    let queries = batch.recipients.iter();
    let queries = queries.map(|recipient| Query::member(keys::members_of(list), recipient.row.customer.clone()));
    let answers = context.store.read(batch.bucket.shard, queries.collect()).await?;
    let row = |answer| {
        let found = as_range(Some(answer))?.into_iter().next();
        found.map(|(_, value)| audience::decode(value)).transpose()
    };
    answers.into_iter().map(row).collect()
}

/// What stops a recipient, and why for people.
type Stopped = (Verdict, String);

async fn look(
    context: &Context<'_>,
    batch: &Batch,
    terms: Terms<'_>,
    (recipient, row): (&Recipient, Option<MemberRecord>),
) -> Result<Prepared, Stop> {
    let mut letter = None;
    let (verdict, problem) = match decide(context, batch, terms, (recipient, row), &mut letter).await? {
        Ok(()) => (Verdict::Send, String::new()),
        Err(stopped) => stopped,
    };
    Ok(Prepared {
        place: recipient.place,
        verdict,
        problem,
        letter,
    })
}

async fn decide(
    context: &Context<'_>,
    batch: &Batch,
    terms: Terms<'_>,
    (recipient, row): (&Recipient, Option<MemberRecord>),
    written: &mut Option<Letter>,
) -> Result<Result<(), Stopped>, Stop> {
    let campaign = &batch.campaign;
    let refuse = |why| Ok(Err((Verdict::Refuse(why), String::new())));
    let Some(at) = CustomerId::from_bytes(&recipient.row.customer) else {
        return refuse(RecipientReason::Erased);
    };
    let Some(whole) = read::customer(context, &campaign.tenant_id, at).await? else {
        return refuse(RecipientReason::Erased);
    };
    // Half a message serves nobody: what has begun to leave goes on.
    let has_begun = !is_untouched(&recipient.row);
    if !has_begun && let Some(verdict) = twins::look(context, batch.bucket.campaign, at, &whole).await? {
        return Ok(Err((verdict, String::new())));
    }
    let known = Known::of(context, campaign, &whole, row);
    let (letter, address, law) = match known.letter(terms, recipient) {
        Ok(found) => found,
        Err(stopped) => return Ok(Err(stopped)),
    };
    let peer = letter.thread.peer.clone();
    let is_closed = match (terms.window, address.thread) {
        (Some(rule), Some(thread)) => window::is_closed(rule, thread, context.now()),
        _ => false,
    };
    let letter = written.insert(letter);
    if has_begun {
        return Ok(Ok(()));
    }
    if is_closed && !window::needs_none(&letter.message) {
        return refuse(RecipientReason::WindowClosed);
    }
    if let Some(stopped) = consent(context, &known, terms, law, &peer).await? {
        return Ok(Err(stopped));
    }
    if known.purpose != Purpose::Marketing {
        return Ok(Ok(()));
    }
    let own = &context.tenants.of(&campaign.tenant_id).marketing;
    let zones = zones(&known.whereabouts(&peer), &known.own_zone);
    match letter::hour(law, own.hours, &zones, context.now()) {
        Verdict::Send => {}
        verdict => return Ok(Err((verdict, String::new()))),
    }
    let caps: Vec<_> = law.map(Law::cap).into_iter().chain(own.caps.iter().cloned()).collect();
    match limits::take(
        context,
        &whole,
        &caps,
        (letter.id, &terms.account.channel),
        terms.only_looks,
    )
    .await?
    {
        Verdict::Send => Ok(Ok(())),
        verdict => Ok(Err((verdict, String::new()))),
    }
}

/// What is known of a recipient.
struct Known<'a> {
    whole: &'a Whole,
    customer: Customer,
    row: MemberRecord,
    purpose: Purpose,
    locale: &'a str,
    own_zone: TimeZone,
    region: Option<&'a str>,
}

impl<'a> Known<'a> {
    fn of(context: &'a Context<'_>, campaign: &Campaign, whole: &'a Whole, row: Option<MemberRecord>) -> Self {
        let rules = context.tenants.of(&campaign.tenant_id);
        Self {
            whole,
            customer: whole.to_customer(),
            row: row.unwrap_or_default(),
            purpose: match campaign.purpose() {
                // What nobody has said the purpose of is treated as strictly as may be.
                Purpose::Unspecified => Purpose::Marketing,
                purpose => purpose,
            },
            locale: &rules.locale,
            own_zone: zone(&rules.time_zone).unwrap_or(TimeZone::UTC),
            region: rules.region.as_deref(),
        }
    }

    fn whereabouts<'b>(&'b self, peer: &'b Identifier) -> Whereabouts<'b> {
        Whereabouts {
            named: Some(self.row.time_zone.as_str()).filter(|name| !name.is_empty()),
            country: None,
            address: Some(peer),
        }
    }

    /// The law of the country that the address is in, as far as it tells; else that of the company's.
    fn law(&self, account: &Account, peer: &Identifier) -> Option<&'static Law> {
        let number = Some(peer).filter(|peer| peer.r#type == "phone");
        let number = number.and_then(|peer| phone::parse(&peer.value, None).ok());
        let country = number.as_ref().and_then(phone::Number::region).or(self.region)?;
        law::of(country, &account.channel, self.purpose)
    }

    /// What is sent, where, and the law there. A row's words stand above what is known of the customer.
    fn letter(
        &self,
        terms: Terms<'_>,
        recipient: &Recipient,
    ) -> Result<(Letter, Address<'a>, Option<&'static Law>), Stopped> {
        let account = terms.account;
        let missing = |problem: &str| (Verdict::Release, problem.to_owned());
        let ready = terms.templates.get(&recipient.row.step);
        let ready = ready.ok_or_else(|| missing("the template of the step is not at hand"))?;
        let mut message = self.said(ready, &account.channel)?;
        message.purpose = self.purpose.into();
        let threads: Vec<_> = self.whole.threads().collect();
        let through = Through {
            account_id: &account.id,
            channel: &account.channel,
        };
        let is_template = window::needs_none(&message);
        let address = letter::address(through, is_template, &threads, self.whole.record.members.iter());
        let nowhere = (Verdict::Refuse(RecipientReason::NoAddress), String::new());
        let address = address.ok_or_else(|| nowhere.clone())?;
        let birth = Birth::from_bytes(&address.member.birth).ok_or_else(|| nowhere.clone())?;
        let home = CustomerId::from_bytes(&address.member.home).ok_or(nowhere)?;
        let law = self.law(account, address.peer);
        // Accounts of SMS put their label and their opt-out line around advertising themselves.
        if let Some(law) = law.filter(|_| account.channel != "sms") {
            letter::label(&mut message, law);
        }
        let sent = Sent {
            place: recipient.place,
            step: u8::try_from(recipient.row.step).unwrap_or(u8::MAX),
        };
        let form = address.thread.map(|thread| &thread.peer_provider_form);
        let letter = Letter {
            id: sent.message_id(),
            customer: self.whole.id,
            home,
            thread: ThreadKey {
                account_id: account.id.clone(),
                channel: account.channel.clone(),
                peer: address.peer.clone(),
                birth,
                provider_form: form.unwrap_or(&address.member.provider_form).clone(),
            },
            message,
            counted: self.purpose == Purpose::Marketing,
        };
        Ok((letter, address, law))
    }

    fn said(&self, ready: &Ready, channel: &str) -> Result<Message, Stopped> {
        let mut values = template::values_of(&self.customer);
        if !self.row.display_name.is_empty() {
            values.insert("display_name".to_owned(), self.row.display_name.clone());
        }
        values.extend(self.row.variables.clone());
        let profile = self.customer.profile.as_ref();
        let locale = match self.row.locale.as_str() {
            "" => profile.map_or("", |profile| profile.locale.as_str()),
            locale => locale,
        };
        let named = zone(&self.row.time_zone).unwrap_or_else(|| self.own_zone.clone());
        let recipient = template::Recipient {
            locale,
            zone: &named,
            values: &values,
        };
        let rendered = ready.render(channel, recipient, self.locale);
        rendered.map(|rendered| rendered.message).map_err(|refusal| {
            let why = match refusal {
                Refusal::MissingData(_) | Refusal::InvalidData { .. } => RecipientReason::MissingData,
                _ => RecipientReason::Content,
            };
            (Verdict::Refuse(why), refusal.to_string())
        })
    }
}

/// Whether somebody's wishes, or the list of whom nobody writes to, stand in the way.
async fn consent(
    context: &Context<'_>,
    known: &Known<'_>,
    terms: Terms<'_>,
    law: Option<&Law>,
    peer: &Identifier,
) -> Result<Option<Stopped>, Stop> {
    let whole = known.whole;
    let whom = Whom {
        tenant_id: &whole.record.tenant_id,
        identifier: peer,
        from: Some(whole.id),
    };
    let channel = &terms.account.channel;
    let mut layers = match needs_consent(known.purpose) {
        true => advertising(context, whom).await?,
        false => suppressed(context, whom).await?,
    };
    layers.threads = whole.thread_words(peer, channel, "");
    let asked = Asked {
        channel,
        purpose: known.purpose,
        default: match law {
            Some(law) if law.consent => MarketingDefault::Required,
            _ => terms.marketing,
        },
        now: context.now(),
    };
    let effective = effective(&layers, &asked);
    Ok(effective.code().map(|code| {
        let detail = effective.refusing().map(|seen| seen.detail.clone());
        (Verdict::Refuse(letter::refusal(code)), detail.unwrap_or_default())
    }))
}
