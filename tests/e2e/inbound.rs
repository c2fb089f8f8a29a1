//! What customers write.

use crate::{SHOP, SUPPORT, World};
use anyhow::{Context as _, ensure};
use omnigate_proto::v1::{Entry, WatchRequest};
use omnigate_rpc::client::Connection;
use omnigate_sandbox::telegram::{Action, Media, UserHandle};
use omnigate_tests::reading::{customers, entries_of, in_thread_order, timeline, words};
use omnigate_tests::wait;
use std::collections::BTreeMap;

/// All timelines, by customer.
pub(crate) async fn everything(connection: &Connection) -> anyhow::Result<BTreeMap<String, Vec<Entry>>> {
    let mut all = BTreeMap::new();
    for customer in customers(connection).await? {
        all.insert(
            customer.customer_id.clone(),
            timeline(connection, &customer.customer_id).await?,
        );
    }
    Ok(all)
}

pub(crate) async fn a_conversation_becomes_a_timeline(world: &World) -> anyhow::Result<()> {
    let an = world.sandbox.user("An");
    let said = an.writes("Xin chào, cho mình hỏi chút")?.messages[0];
    an.does(Action::Photo(Media {
        caption: Some("cái này".to_owned()),
        content: "aGVsbG8=".to_owned(),
        ..Media::default()
    }))?;
    an.does(Action::Sticker {
        emoji: "👍".to_owned()
    })?;
    an.does(Action::Location {
        latitude: 21.0285,
        longitude: 105.8542,
    })?;
    an.replies(said, "quên mất, giá bao nhiêu?")?;
    an.does(Action::Edit {
        message_id: said,
        text: "Xin chào shop, cho mình hỏi chút".to_owned(),
    })?;
    let entries = entries_of(&world.connection, SHOP, an.id(), 6).await?;
    ensure!(entries.len() == 6, "{} entries", entries.len());
    let ordered = in_thread_order(&entries);
    let numbers: Vec<u64> = ordered.iter().map(|entry| entry.thread_seq).collect();
    ensure!(numbers == [1, 2, 3, 4, 5, 6], "numbers of the thread: {numbers:?}");
    ensure!(
        words(ordered[0]) == "Xin chào shop, cho mình hỏi chút",
        "the edit is not shown: {:?}",
        ordered[0]
    );
    ensure!(ordered[0].revision == 1, "revision {}", ordered[0].revision);
    ensure!(
        ordered[5].target_entry_id == ordered[0].entry_id,
        "the edit names another entry"
    );
    an.does(Action::React {
        message_id: said,
        emoji: Some("❤".to_owned()),
    })?;
    let shown = wait::until("a reaction", async || {
        let entries = entries_of(&world.connection, SHOP, an.id(), 6).await?;
        let reactions = in_thread_order(&entries)[0].reactions.clone();
        Ok(if reactions.is_empty() {
            Err("none")
        } else {
            Ok(reactions)
        })
    });
    ensure!(shown.await?[0].emojis == ["❤"], "another reaction");
    Ok(())
}

pub(crate) async fn bursts_of_many_people_stay_in_order(world: &World) -> anyhow::Result<()> {
    const PEOPLE: usize = 8;
    const EACH: usize = 40;
    let people: Vec<UserHandle> = (0..PEOPLE)
        .map(|number| world.sandbox.user(&format!("burst {number}")))
        .collect();
    for number in 0..EACH {
        for person in &people {
            person.writes(&format!("message {number}"))?;
        }
    }
    for person in &people {
        let entries = entries_of(&world.connection, SHOP, person.id(), EACH).await?;
        let said: Vec<String> = in_thread_order(&entries).into_iter().map(words).collect();
        let expected: Vec<String> = (0..EACH).map(|number| format!("message {number}")).collect();
        ensure!(said == expected, "out of order: {said:?}");
        let shown: Vec<String> = entries.iter().map(words).collect();
        ensure!(shown == expected, "shown out of order: {shown:?}");
    }
    Ok(())
}

pub(crate) async fn what_comes_twice_is_there_once(world: &World) -> anyhow::Result<()> {
    let twice = world.sandbox.user("Twice");
    let done = twice.writes("một lần thôi")?;
    entries_of(&world.connection, SHOP, twice.id(), 1).await?;
    for _ in 0..3 {
        let status = world.sandbox.redeliver(done.updates[0]).await?;
        ensure!(status == 200, "redelivery was answered {status}");
    }
    // Something later in the same thread: when it is there, the repeats have been dealt with.
    twice.writes("sau đó")?;
    let entries = entries_of(&world.connection, SHOP, twice.id(), 2).await?;
    ensure!(entries.len() == 2, "{} entries", entries.len());
    Ok(())
}

pub(crate) async fn a_polled_bot_is_served_too(world: &World) -> anyhow::Result<()> {
    let em = world.polled.user("Em");
    for number in 0..20 {
        em.writes(&format!("polled {number}"))?;
    }
    let entries = entries_of(&world.connection, SUPPORT, em.id(), 20).await?;
    let said: Vec<String> = in_thread_order(&entries).into_iter().map(words).collect();
    ensure!(
        said == (0..20).map(|number| format!("polled {number}")).collect::<Vec<_>>(),
        "{said:?}"
    );
    Ok(())
}

pub(crate) async fn watching_goes_on_where_it_ended(world: &World) -> anyhow::Result<()> {
    let watched = world.sandbox.user("Watched");
    let mut watching = world
        .connection
        .timelines()
        .watch(WatchRequest::default())
        .await?
        .into_inner();
    watched.writes("một")?;
    let token = loop {
        let response = watching.message().await?.context("the stream ended")?;
        if response.entry.as_ref().is_some_and(|entry| words(entry) == "một") {
            break response.resume_token;
        }
    };
    drop(watching);
    watched.writes("hai")?;
    entries_of(&world.connection, SHOP, watched.id(), 2).await?;
    let asked = WatchRequest {
        resume_token: token,
        ..WatchRequest::default()
    };
    let mut watching = world.connection.timelines().watch(asked).await?.into_inner();
    loop {
        let response = watching.message().await?.context("the stream ended")?;
        if response.entry.as_ref().is_some_and(|entry| words(entry) == "hai") {
            return Ok(());
        }
    }
}
