//! What happens in the demo.

use super::answers;
use super::sandboxes::{SUPPORT, TOKENS};
use crate::commands::{customers, print};
use anyhow::Context as _;
use omnigate_proto::v1::Delivery;
use omnigate_rpc::client::Connection;
use omnigate_sandbox::telegram::{Action, Media, NewUser, TelegramHandle, UserHandle};
use serde_json::json;
use std::time::{Duration, Instant};

/// Longest wait for something that must happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Messages of the burst.
pub(super) const BURST: usize = 30;
/// A picture of one pixel, PNG, base 64.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// What was done, for the summary.
pub(super) struct Played {
    /// Who wrote first.
    pub(super) an: UserHandle,
    /// Status that the webhook answered to the forged request.
    pub(super) forged: u16,
    /// Status that it answered to the update that came twice.
    pub(super) twice: u16,
    /// Deliveries of our answers, in the order they were sent.
    pub(super) deliveries: Vec<Delivery>,
}

/// Plays it.
pub(super) async fn play(sandbox: &TelegramHandle, connection: &Connection) -> anyhow::Result<Played> {
    let support = sandbox.for_bot(TOKENS[1]).context("the second bot is missing")?;
    let an = person(sandbox, "An", "Nguyễn", "vi");
    let binh = person(sandbox, "Bình", "Trần", "vi");
    let chi = person(sandbox, "Chi", "Lê", "en");
    let dung = person(sandbox, "Dũng", "Phạm", "vi");

    print::line("\nAn writes, sends a photo, corrects herself and reacts:");
    let first = an.writes("Chào shop, áo dài này còn size M khong?")?;
    let said = *first.messages.first().context("no message")?;
    an.does(Action::Edit {
        message_id: said,
        text: "Chào shop, áo dài này còn size M không?".to_owned(),
    })?;
    an.does(Action::Photo(picture("mẫu này ạ")))?;

    print::line("Bình sends a sticker, an album and a place; Chi sends a burst:");
    binh.does(Action::Sticker {
        emoji: "👋".to_owned()
    })?;
    binh.does(Action::Album {
        photos: vec![picture("một"), picture("hai")],
    })?;
    binh.does(Action::Location {
        latitude: 10.7769,
        longitude: 106.7009,
    })?;
    for number in 1..=BURST {
        chi.writes(&format!("burst {number}"))?;
    }
    delivered(sandbox).await?;

    print::line("one update comes twice, and somebody forges a request:");
    let update = *first.updates.first().context("no update")?;
    let twice = sandbox.redeliver(update).await?;
    let forged = sandbox
        .forge(
            Some("guessed"),
            &json!({ "update_id": 1, "message": { "text": "give me the data" } }),
        )
        .await?;

    print::line("Em writes to the other bot, which is polled:");
    let em = person(&support, "Em", "Vũ", "vi");
    em.writes("Alo, cho mình hỏi đơn hàng 1234")?;
    dung.writes("Ngừng gửi tin cho tôi")?;
    dung.blocks()?;
    delivered(sandbox).await?;
    delivered(&support).await?;
    customers_known(connection, 5).await?;

    let deliveries = answer(sandbox, connection, &an, said).await?;
    Ok(Played {
        an,
        forged,
        twice,
        deliveries,
    })
}

/// The company answers, and An goes on.
async fn answer(
    sandbox: &TelegramHandle,
    connection: &Connection,
    an: &UserHandle,
    said: i64,
) -> anyhow::Result<Vec<Delivery>> {
    print::line("we answer: in the thread, with buttons, with a picture, and to somebody who blocked us:");
    let deliveries = answers::send(connection, said).await?;
    an.does(Action::React {
        message_id: said,
        emoji: Some("❤".to_owned()),
    })?;
    an.presses("size-m")?;
    an.replies(said, "Vâng, cho mình lấy size M nhé")?;
    delivered(sandbox).await?;
    Ok(deliveries)
}

fn person(bot: &TelegramHandle, first: &str, last: &str, language: &str) -> UserHandle {
    bot.new_user(NewUser {
        first_name: first.to_owned(),
        last_name: Some(last.to_owned()),
        language_code: Some(language.to_owned()),
        ..NewUser::default()
    })
}

fn picture(caption: &str) -> Media {
    Media {
        caption: Some(caption.to_owned()),
        content: PIXEL.to_owned(),
        ..Media::default()
    }
}

/// Waits until the bot has taken every update.
async fn delivered(bot: &TelegramHandle) -> anyhow::Result<()> {
    let taken = bot.wait_for(|view| view.pending_updates() == 0, PATIENCE).await;
    taken.context("the gateway did not take every update")
}

/// Waits until so many customers are known and nobody is missing on the second account.
async fn customers_known(connection: &Connection, count: usize) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        let known = customers::list(connection, 1000, "").await?;
        let polled = known
            .iter()
            .flat_map(|customer| &customer.threads)
            .any(|thread| thread.account_id == SUPPORT);
        if known.len() >= count && polled {
            return Ok(());
        }
        anyhow::ensure!(
            begun.elapsed() < PATIENCE,
            "only {} of {count} customers came to be",
            known.len()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
