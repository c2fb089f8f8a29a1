//! The gateway end to end, twice from one source: in one process on the embedded back-ends, and as a fleet on RabbitMQ and
//! Redis.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops where it is surprised"
)]

mod audience;
mod bad_input;
mod campaign;
mod consent;
mod conversations;
mod details;
mod esms;
mod events;
mod external;
mod faults;
mod identity;
mod inbound;
mod outbound;
mod parked;
mod privacy;
mod python;
mod replay;
mod sealed;
mod shares;
mod sms;
mod speedsms;
mod templates;
mod trim;
mod twilio;
mod zalo;

use omnigate_proto::v1::SubscribeRequest;
use omnigate_rpc::client::Connection;
use omnigate_sandbox::smsc::SmscHandle;
use omnigate_sandbox::telegram::TelegramHandle;
use omnigate_sandbox::twilio::SmsHandle;
use omnigate_sandbox::zalo::ZaloHandle;
use omnigate_tests::bot;
use omnigate_tests::gateway::{Gateway, Keys, Shape};
use omnigate_tests::tls::Front;

/// Account of bot 1, by webhook.
pub(crate) const SHOP: &str = "shop";
/// Account of bot 2, polled.
pub(crate) const SUPPORT: &str = "support";
/// Account of the external adapter.
pub(crate) const KIOSK: &str = "kiosk";
/// Token of the external adapter.
pub(crate) const KIOSK_TOKEN: &str = "token-of-the-kiosk-adapter";

/// Account of the example adapter in Python.
pub(crate) const PYTHON: &str = "python";
/// Token of the example adapter in Python.
pub(crate) const PYTHON_TOKEN: &str = "token-of-the-python-adapter";

/// A gateway with its sandbox and adapter.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) sandbox: TelegramHandle,
    pub(crate) polled: TelegramHandle,
    pub(crate) connection: Connection,
    pub(crate) kiosk: external::Kiosk,
    pub(crate) python: String,
    pub(crate) zalo: ZaloHandle,
    pub(crate) smsc: SmscHandle,
    /// Before the SMSC; its file has to stay.
    _front: Front,
    pub(crate) twilio: SmsHandle,
    pub(crate) esms: SmsHandle,
    pub(crate) speedsms: SmsHandle,
    /// Of outgoing webhooks.
    pub(crate) receiver: events::Receiver,
}

/// What is played in a world.
#[derive(Clone, Copy)]
enum Play {
    /// What holds for every channel.
    Gateway,
    /// What is particular to Zalo and SMS.
    Providers,
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_on_embedded_back_ends() {
    play(Shape::One, Play::Gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_on_rabbitmq_and_redis() {
    play(Shape::Fleet, Play::Gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_of_one_process() {
    play(Shape::One, Play::Providers).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_of_a_fleet() {
    play(Shape::Fleet, Play::Providers).await;
}

async fn play(shape: Shape, play: Play) {
    let Some(mut world) = World::start(shape).await.unwrap() else {
        return;
    };
    let played = match play {
        Play::Gateway => world.scenes().await,
        Play::Providers => world.scenes_of_providers().await,
    };
    if let Err(error) = played {
        panic!("{error:?}\n{}", world.gateway.logs());
    }
}

impl World {
    async fn start(shape: Shape) -> anyhow::Result<Option<Self>> {
        let sandbox = bot::sandbox(2).await?;
        let polled = bot::bot(&sandbox, 2)?;
        let kiosk = external::Kiosk::start().await?;
        let mut keys = Keys::new();
        bot::account(&mut keys, &sandbox, SHOP, 1, false);
        bot::account(&mut keys, &sandbox, SUPPORT, 2, true);
        kiosk.configure(&mut keys);
        keys.insert("customers.attributes.city.kind".to_owned(), "text".to_owned());
        keys.insert("identity.region".to_owned(), "VN".to_owned());
        trim::configure(&mut keys);
        templates::configure(&mut keys);
        let python = external::free_address().await?;
        for (key, value) in [
            ("channel", "kiosk"),
            ("adapter", &format!("grpc://{python}")),
            ("token", PYTHON_TOKEN),
        ] {
            keys.insert(format!("accounts.{PYTHON}.{key}"), value.to_owned());
        }
        let zalo = zalo::start().await?;
        zalo::configure(&mut keys, &zalo);
        let smsc = sms::start().await?;
        let front = Front::start(smsc.address()).await?;
        sms::configure(&mut keys, &front);
        let twilio = twilio::start().await?;
        // Twilio signs the address that it calls, so that has to be known before the gateway starts.
        let webhooks = external::free_address().await?;
        keys.insert("listen.webhooks".to_owned(), webhooks.clone());
        twilio::configure(&mut keys, &twilio, &webhooks);
        let esms = esms::start().await?;
        esms::configure(&mut keys, &esms, &webhooks);
        let speedsms = speedsms::start().await?;
        speedsms::configure(&mut keys, &speedsms);
        let receiver = events::Receiver::start(&mut keys).await?;
        let Some(gateway) = Gateway::start(shape, &keys).await? else {
            return Ok(None);
        };
        bot::point(&sandbox, &gateway, SHOP, 1).await?;
        let connection = gateway.connect().await?;
        Ok(Some(Self {
            gateway,
            sandbox,
            polled,
            connection,
            kiosk,
            python,
            zalo,
            smsc,
            _front: front,
            twilio,
            esms,
            speedsms,
            receiver,
        }))
    }

    async fn scenes(&mut self) -> anyhow::Result<()> {
        inbound::a_conversation_becomes_a_timeline(self).await?;
        inbound::bursts_of_many_people_stay_in_order(self).await?;
        inbound::what_comes_twice_is_there_once(self).await?;
        inbound::a_polled_bot_is_served_too(self).await?;
        inbound::watching_goes_on_where_it_ended(self).await?;
        outbound::answers_leave_in_order_and_once(self).await?;
        outbound::a_request_is_answered_the_same_twice(self).await?;
        outbound::failures_say_why(self).await?;
        outbound::a_scheduled_message_waits_and_can_be_taken_back(self).await?;
        external::an_adapter_in_another_process_works_both_ways(self).await?;
        external::receipts_move_forward_whenever_they_come(self).await?;
        external::an_adapter_in_python_works_both_ways(self).await?;
        identity::scenes(self).await?;
        consent::scenes(self).await?;
        faults::scenes(self).await?;
        audience::scenes(self).await?;
        privacy::scenes(self).await?;
        conversations::scenes(self).await?;
        details::scenes(self).await?;
        templates::scenes(self).await?;
        replay::the_journal_is_driven_again(self).await?;
        sealed::nobody_reads_the_broker_without_the_store(self).await?;
        trim::scenes(self).await?;
        parked::an_unknown_account_is_parked_and_told(self).await?;
        events::a_group_shares_the_work_and_loses_nothing(self).await?;
        events::a_webhook_is_told_everything_in_order_and_again_when_asked(self).await?;
        bad_input::each_gets_one_clear_error(self).await?;
        self.a_restart_changes_nothing().await
    }

    async fn scenes_of_providers(&mut self) -> anyhow::Result<()> {
        sms::scenes(self).await?;
        sms::an_edge_that_is_lost_is_replaced(self).await?;
        sms::scenes_of_lost_connections(self).await?;
        twilio::scenes(self).await?;
        esms::scenes(self).await?;
        speedsms::scenes(self).await?;
        zalo::scenes(self).await?;
        campaign::scenes(self).await?;
        self.a_restart_changes_nothing().await
    }

    async fn a_restart_changes_nothing(&mut self) -> anyhow::Result<()> {
        let before = inbound::everything(&self.connection).await?;
        // Somebody who listens does not hold up the stop, and is told.
        let asked = SubscribeRequest::default();
        let mut listening = self.connection.events().subscribe(asked).await?.into_inner();
        self.gateway.stop().await?;
        while let Some(next) = listening.message().await.transpose() {
            match next {
                Ok(_) => {}
                Err(status) => anyhow::ensure!(status.code() == tonic::Code::Unavailable, "{status:?}"),
            }
        }
        self.gateway.start_again().await?;
        self.connection = self.gateway.connect().await?;
        let after = inbound::everything(&self.connection).await?;
        anyhow::ensure!(before == after, "timelines changed over a restart");
        self.gateway.stop().await
    }
}
