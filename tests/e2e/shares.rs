//! Two unify share the work: where one has to wait for the store, two get twice as much done.

use anyhow::Context as _;
use omnigate_proto::v1::event::Kind;
use omnigate_proto::v1::{Event, Identifier, Message, Part, PushRequest, PushStatus, Text, part::Content};
use omnigate_servers::{proxy::Proxy, rabbitmq::RabbitMq, redis::Redis};
use omnigate_tests::gateway::{Gateway, Keys};
use omnigate_tests::wait;
use std::time::{Duration, Instant};

/// Delay of each piece of bytes between a process and the store: what each unify has to wait for.
const SLOW: Duration = Duration::from_millis(40);
/// People who write, each once: several messages of one thread could be one commit.
const PEOPLE: usize = 3000;
/// Most events of one push.
const MOST: usize = 1000;
/// How much more two must get done than one: twice as much, less what else they share.
const MORE: f64 = 1.4;
const ACCOUNT: &str = "kiosk";

#[tokio::test(flavor = "multi_thread")]
async fn a_second_unify_raises_throughput() {
    let (Some(rabbitmq), Some(redis)) = (RabbitMq::start().await, Redis::start().await) else {
        return;
    };
    let store = Proxy::start(redis.addr()).await.unwrap();
    let mut keys = Keys::new();
    keys.insert(format!("accounts.{ACCOUNT}.channel"), "kiosk".to_owned());
    // Nothing is sent, so nobody listens there.
    keys.insert(format!("accounts.{ACCOUNT}.adapter"), "grpc://127.0.0.1:9".to_owned());
    let url = format!("redis://{}", store.addr());
    let gateway = Gateway::fleet(&keys, rabbitmq.url(), &url).await.unwrap();
    let mut race = Race { gateway, store };
    if let Err(error) = race.run().await {
        panic!("{error:?}\n{}", race.gateway.logs());
    }
}

struct Race {
    gateway: Gateway,
    store: Proxy,
}

impl Race {
    async fn run(&mut self) -> anyhow::Result<()> {
        let two = self.rate(&["unify-1", "unify-2"]).await?;
        let second = self.gateway.processes.get_mut("unify-2").context("no second unify")?;
        second.stop().await?;
        let one = self.rate(&["unify-1"]).await?;
        println!("one unify {one:.0}/s, two {two:.0}/s: × {:.2}", two / one);
        anyhow::ensure!(two >= MORE * one, "one unify {one:.0}/s, two {two:.0}/s");
        Ok(())
    }

    /// Messages per second that these unify take to their timelines, when everybody is known already.
    async fn rate(&mut self, unify: &[&str]) -> anyhow::Result<f64> {
        self.hold_all(unify).await?;
        let before = self.applied(unify).await?;
        self.push(&format!("{} known", unify.len())).await?;
        self.until_applied(unify, before + PEOPLE).await?;
        self.store.delay(SLOW);
        let begun = Instant::now();
        self.push(&format!("{} slow", unify.len())).await?;
        self.until_applied(unify, before + 2 * PEOPLE).await?;
        let took = begun.elapsed();
        self.store.delay(Duration::ZERO);
        #[expect(clippy::cast_precision_loss, reason = "a rate is rounded anyway")]
        let messages = PEOPLE as f64;
        Ok(messages / took.as_secs_f64())
    }

    /// Everybody writes once.
    async fn push(&self, what: &str) -> anyhow::Result<()> {
        let ingest = self.gateway.connect_ingest(&self.gateway.token()?).await?;
        let events: Vec<Event> = (0..PEOPLE).map(|person| event(person, what)).collect();
        for events in events.chunks(MOST) {
            let request = PushRequest {
                events: events.to_vec(),
                ..PushRequest::default()
            };
            let answer = ingest.ingest().push(request).await?.into_inner();
            let mut results = answer.results.iter();
            anyhow::ensure!(results.all(|result| result.status() == PushStatus::Accepted));
        }
        Ok(())
    }

    async fn until_applied(&mut self, unify: &[&str], count: usize) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let applied = self.applied(unify).await?;
            if applied >= count {
                return Ok(());
            }
            anyhow::ensure!(begun.elapsed() < wait::PATIENCE, "{applied} of {count} were applied");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until they hold all partitions, evenly.
    async fn hold_all(&mut self, unify: &[&str]) -> anyhow::Result<()> {
        let fair = 16 / unify.len();
        for name in unify {
            let begun = Instant::now();
            while self.metric(name, "omnigate_in_flight", "work=\"partitions\"").await? != fair {
                anyhow::ensure!(
                    begun.elapsed() < wait::PATIENCE,
                    "{name} does not hold {fair} partitions"
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    async fn applied(&mut self, unify: &[&str]) -> anyhow::Result<usize> {
        let mut sum = 0;
        for name in unify {
            sum += self
                .metric(name, "omnigate_outcomes_total", "outcome=\"applied\"")
                .await?;
        }
        Ok(sum)
    }

    /// A metric of a process; nought while it has none.
    async fn metric(&mut self, process: &str, name: &str, label: &str) -> anyhow::Result<usize> {
        let process = self.gateway.processes.get_mut(process).context("no such process")?;
        let url = format!("http://{}/metrics", process.address("listen.admin").await?);
        let metrics = reqwest::get(&url).await?.text().await?;
        let line = metrics
            .lines()
            .find(|line| line.starts_with(name) && line.contains(label) && line.contains("role=\"unify\""));
        let value = line.and_then(|line| line.rsplit(' ').next()).unwrap_or("0");
        value.parse().with_context(|| format!("{name} is {value}"))
    }
}

fn event(person: usize, what: &str) -> Event {
    Event {
        account_id: ACCOUNT.to_owned(),
        peer: Some(Identifier {
            r#type: "phone".to_owned(),
            scope: String::new(),
            value: format!("+8490{person:07}"),
        }),
        provider_message_id: format!("{person} {what}"),
        kind: Some(Kind::Message(Message {
            parts: vec![Part {
                content: Some(Content::Text(Text {
                    text: what.to_owned(),
                    ..Text::default()
                })),
            }],
            ..Message::default()
        })),
        ..Event::default()
    }
}
