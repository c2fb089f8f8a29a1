//! `omnigate bench timeline`: bytes of a stored message and of a customer, and the time of a page of a timeline that grows.
//!
//! Customers are made as unify makes them, each from a first SMS whose sender is known to the company by a number and an
//! address besides; then each writes on. What a message takes is the growth of the store's memory while only messages came.

use super::progress::Progress;
use super::table::{self, Line};
use crate::cli::BenchTimeline;
use anyhow::Context as _;
use omnigate_core::account::{Account, AdapterRef, Limits, Settings};
use omnigate_core::append::Arrival;
use omnigate_core::event::normalise;
use omnigate_core::id::EventId;
use omnigate_core::identifier;
use omnigate_core::port::Clock as _;
use omnigate_core::protocol::entries::{self, View, Wanted};
use omnigate_core::protocol::outbox::{self, Outgoing};
use omnigate_core::protocol::{Ports, append, read};
use omnigate_core::time::Moment;
use omnigate_core::timeline::Spot;
use omnigate_proto::v1::{
    Direction, Event, Evidence, Identifier, IdentifierEvidence, Message, Part, Text, event::Kind, part,
};
use omnigate_runtime::clock::{SystemClock, SystemEntropy};
use omnigate_store::redis::{RedisConfig, memory};
use prost::Message as _;
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is appended at once.
const LOT: u64 = 200;
/// Entries of a page.
const PAGE: u32 = 50;
/// Length of the shortest timeline of which pages are read.
const SHORTEST: u64 = 100;
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const TENANT: &str = "default";

/// What was measured.
#[derive(Debug, Default, Serialize)]
struct Measured {
    /// Bytes of a message; nought where the store does not tell.
    message_bytes: f64,
    /// Bytes of a customer without messages.
    customer_bytes: f64,
    /// Pages of timelines of growing length.
    pages: Vec<Pages>,
}

/// Pages of a timeline of one length.
#[derive(Debug, Serialize)]
struct Pages {
    entries: u64,
    newest_p50_ms: f64,
    newest_p99_ms: f64,
    anywhere_p50_ms: f64,
    anywhere_p99_ms: f64,
}

/// Measures and prints.
pub(super) async fn run(arguments: &BenchTimeline) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(SystemClock);
    let store = omnigate_store::open(&arguments.store, folder.path(), clock.clone()).await?;
    let bench = Timelines {
        arguments,
        ports: Ports::new(store, clock, Arc::new(SystemEntropy::new()?)),
        account: account(),
        run: SystemClock.now().0,
    };
    let mut progress = Progress::new(3, Duration::ZERO);
    let mut measured = Measured::default();
    progress.step("customers");
    bench.sizes(&mut measured, &mut progress).await?;
    progress.step("timelines");
    bench.pages(&mut measured).await?;
    drop(progress);
    let title = format!(
        "timeline, {}, {} customers with 3 identifiers and {} messages, pages of {PAGE} entries",
        if arguments.store.is_empty() {
            "embedded store"
        } else {
            "Redis"
        },
        arguments.customers,
        arguments.messages,
    );
    table::print(arguments.output, &title, &measured, &lines(&measured))
}

fn lines(measured: &Measured) -> Vec<Line> {
    let mut lines = Vec::new();
    if measured.message_bytes > 0.0 {
        lines.push(Line::new("stored message", measured.message_bytes, "bytes").below(400.5));
        lines.push(Line::new("customer with 3 identifiers", measured.customer_bytes, "bytes").below(3000.5));
    }
    let shortest = measured.pages.first();
    for pages in &measured.pages {
        let line = |what: &str, figure: fn(&Pages) -> f64| {
            let line = Line::new(format!("{what}, {} entries", pages.entries), figure(pages), "ms");
            let first = shortest.map_or(0.0, figure);
            line.beside("shortest", if first > 0.0 { figure(pages) / first } else { 0.0 })
        };
        lines.push(line("newest page, p50", |pages| pages.newest_p50_ms));
        lines.push(line("newest page, p99", |pages| pages.newest_p99_ms));
        lines.push(line("any page, p50", |pages| pages.anywhere_p50_ms));
        lines.push(line("any page, p99", |pages| pages.anywhere_p99_ms));
    }
    lines
}

struct Timelines<'a> {
    arguments: &'a BenchTimeline,
    ports: Ports,
    account: Account,
    run: i64,
}

impl Timelines<'_> {
    async fn used(&self) -> anyhow::Result<Option<u64>> {
        if self.arguments.store.is_empty() {
            return Ok(None);
        }
        Ok(memory::used(&RedisConfig::new(&self.arguments.store)).await?)
    }

    async fn sizes(&self, measured: &mut Measured, progress: &mut Progress) -> anyhow::Result<()> {
        let (customers, messages) = (self.arguments.customers, self.arguments.messages);
        let before = self.used().await?;
        for customer in 0..customers {
            self.write(customer, 0..1).await?;
        }
        self.settle().await?;
        let made = self.used().await?;
        progress.step("messages");
        for customer in 0..customers {
            let mut written = 1;
            while written < messages {
                let until = messages.min(written + LOT);
                self.write(customer, written..until).await?;
                written = until;
            }
        }
        self.settle().await?;
        let grown = self.used().await?;
        if let (Some(before), Some(made), Some(grown)) = (before, made, grown) {
            measured.message_bytes = difference(made, grown) / as_f64(customers * (messages - 1));
            measured.customer_bytes = difference(before, made) / as_f64(customers) - measured.message_bytes;
        }
        Ok(())
    }

    async fn pages(&self, measured: &mut Measured) -> anyhow::Result<()> {
        // Behind those whose size was measured.
        let customer = self.arguments.customers;
        let (mut written, mut length) = (0, SHORTEST);
        while length <= self.arguments.longest {
            while written < length {
                let until = length.min(written + LOT);
                self.write(customer, written..until).await?;
                written = until;
            }
            self.settle().await?;
            measured.pages.push(self.pages_of(customer, length).await?);
            length *= 10;
        }
        Ok(())
    }

    async fn pages_of(&self, customer: u64, entries: u64) -> anyhow::Result<Pages> {
        let context = self.ports.context();
        let found = read::resolve(&context, TENANT, &self.phone(customer)?).await?;
        let views: Vec<View> = found.map(|whole| whole.views()).unwrap_or_default();
        let home = views.first().map(|view| view.home);
        let home = home.context("the customer that was written to the store is not there")?;
        let (mut newest, mut anywhere) = (Vec::new(), Vec::new());
        for number in 0..self.arguments.pages {
            let begin = Instant::now();
            let page = entries::page(&context, &views, &Wanted::first(PAGE, false))
                .await?
                .entries;
            newest.push(begin.elapsed());
            let full = usize::try_from(u64::from(PAGE).min(entries))?;
            anyhow::ensure!(page.len() == full, "a page of {} entries, not of {full}", page.len());
            // Somewhere in the middle: where an entry stands.
            let place = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % entries;
            let spot = Spot {
                shown_at: self.written_at(place)?,
                home_seq: 0,
            };
            let position = [spot.to_key(), home.0, EventId([0; 16]).0].concat();
            let begin = Instant::now();
            let wanted = Wanted {
                after: Some(position.into()),
                ..Wanted::first(PAGE, false)
            };
            entries::page(&context, &views, &wanted).await?;
            anywhere.push(begin.elapsed());
        }
        let of = |times: &mut Vec<Duration>, percent: usize| {
            times.sort_unstable();
            let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
            times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
        };
        Ok(Pages {
            entries,
            newest_p50_ms: of(&mut newest, 50),
            newest_p99_ms: of(&mut newest, 99),
            anywhere_p50_ms: of(&mut anywhere, 50),
            anywhere_p99_ms: of(&mut anywhere, 99),
        })
    }

    /// Appends messages of a customer as unify does.
    async fn write(&self, customer: u64, numbers: std::ops::Range<u64>) -> anyhow::Result<()> {
        let mut arrivals = Vec::new();
        for number in numbers {
            let event = self.event(customer, number)?;
            arrivals.push(Arrival {
                bytes: event.encode_to_vec().into(),
                id: event.event_id.parse()?,
                received_at: SystemClock.now(),
                event,
            });
        }
        let applied = append::apply(&self.ports.context(), &arrivals).await?;
        for Outgoing { shard, member, .. } in applied.outgoing {
            self.ports.outbox.published(shard, vec![member]);
        }
        Ok(())
    }

    /// Takes what counts as published out of the outbox.
    async fn settle(&self) -> anyhow::Result<()> {
        loop {
            let shards = self.ports.outbox.shards();
            if shards.is_empty() {
                return Ok(());
            }
            for shard in shards {
                outbox::flush(&self.ports.context(), shard).await?;
            }
        }
    }

    /// Ten messages a second, so that a million lie within what is believed of a provider's time.
    fn written_at(&self, number: u64) -> anyhow::Result<Moment> {
        let begin = Moment(self.run) - Duration::from_hours(48);
        Ok(begin + Duration::from_millis(100 * number))
    }

    fn phone(&self, customer: u64) -> anyhow::Result<Identifier> {
        // Numbers of this run alone, of one operator's range.
        let number = u64::try_from(self.run).unwrap_or_default() / 1_000 % 1_000 * 10_000 + customer;
        identifier("phone", format!("+8490{:07}", number % 10_000_000))
    }

    fn event(&self, customer: u64, number: u64) -> anyhow::Result<Event> {
        let peer = self.phone(customer)?;
        let known = [
            peer.clone(),
            identifier("email", format!("khach.{}.{customer}@example.vn", self.run))?,
            identifier("crm", format!("KH-{}-{customer}", self.run))?,
        ];
        let known = known.map(|identifier| IdentifierEvidence {
            identifier: Some(identifier),
            evidence: Evidence::Vouched.into(),
            provider_form: String::new(),
        });
        // Others than the sender are told once.
        let told = if number == 0 {
            known.to_vec()
        } else {
            known[..1].to_vec()
        };
        let mut event = Event {
            account_id: self.account.id.clone(),
            occurred_at: Some(self.written_at(number)?.to_timestamp()),
            direction: Direction::Inbound.into(),
            peer: Some(peer),
            identifiers: told,
            provider_message_id: format!("{:012x}", self.run + i64::try_from(number)?),
            kind: Some(Kind::Message(Message {
                parts: vec![Part {
                    content: Some(part::Content::Text(Text {
                        text: format!("Cho em hỏi đơn {number} bao giờ giao ạ, em cảm ơn"),
                        ..Text::default()
                    })),
                }],
                ..Message::default()
            })),
            ..Event::default()
        };
        normalise(&mut event, &self.account, SystemClock.now(), TRACE)?;
        Ok(event)
    }
}

fn account() -> Account {
    Account {
        id: "bench".to_owned(),
        tenant_id: TENANT.to_owned(),
        channel: "sms".to_owned(),
        provider: "smpp".to_owned(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: "bench".to_owned(),
        settings: Settings::default(),
        limits: Limits::default(),
    }
}

fn identifier(kind: &str, value: String) -> anyhow::Result<Identifier> {
    Ok(identifier::canonical(&Identifier {
        r#type: kind.to_owned(),
        scope: String::new(),
        value,
    })?)
}

fn difference(before: u64, after: u64) -> f64 {
    as_f64(after.saturating_sub(before))
}

#[allow(clippy::cast_precision_loss, reason = "figures of a benchmark")]
fn as_f64(number: u64) -> f64 {
    number as f64
}
