//! `getUpdates`.

use super::{
    answer::ApiError,
    backlog::Backlog,
    bot::Bot,
    params::Params,
    server::{Cell, Shared},
};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

const LONGEST_POLL: i64 = 50;

/// Waits for updates, and answers them as the JSON of a list.
pub(super) async fn run(shared: &Shared, cell: &Cell, params: &Params) -> Result<String, ApiError> {
    let mut arrivals = cell.arrivals();
    let (own, offset) = begin(&mut cell.lock(), params)?;
    // The poll that this one terminates waits for arrivals too.
    cell.arrived();
    let limit = usize::try_from(params.integer("limit").unwrap_or(100).clamp(1, 100)).unwrap_or(100);
    let wait = params.integer("timeout").unwrap_or(0).clamp(0, LONGEST_POLL);
    let deadline = Instant::now() + Duration::from_secs(wait.unsigned_abs());
    loop {
        arrivals.borrow_and_update();
        {
            let mut bot = cell.lock();
            check(&bot, own)?;
            let expired = bot.backlog.expire(shared.now().at);
            bot.journal.counters.dropped += expired;
            let found = list(&bot.backlog, offset, limit);
            if found.len() > "[]".len() || Instant::now() >= deadline {
                return Ok(found);
            }
        }
        tokio::select! {
            woken = timeout_at(deadline, arrivals.changed()) => {
                if matches!(woken, Ok(Err(_))) {
                    return Ok("[]".to_owned());
                }
            }
            () = shared.cancel.cancelled() => return Ok("[]".to_owned()),
        }
    }
}

/// Confirms what `offset` confirms; answers this poll's number and where it reads from.
fn begin(bot: &mut Bot, params: &Params) -> Result<(u64, u32), ApiError> {
    if bot.webhook.is_some() {
        return Err(ApiError::conflict(
            "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
        ));
    }
    bot.read_allowed_updates(params)?;
    bot.poll += 1;
    let from = match params.integer("offset").unwrap_or(0) {
        offset if offset < 0 => bot
            .backlog
            .tail(usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX)),
        offset => u32::try_from(offset).unwrap_or(u32::MAX),
    };
    let confirmed = bot.backlog.forget_before(from);
    bot.journal.counters.delivered += confirmed;
    Ok((bot.poll, from))
}

fn check(bot: &Bot, own: u64) -> Result<(), ApiError> {
    if bot.webhook.is_some() {
        return Err(ApiError::conflict("terminated by setWebhook request"));
    }
    if bot.poll != own {
        return Err(ApiError::conflict(
            "terminated by other getUpdates request; make sure that only one bot instance is running",
        ));
    }
    Ok(())
}

fn list(backlog: &Backlog, from: u32, limit: usize) -> String {
    let mut list = String::from("[");
    for (_, update) in backlog.from(from).take(limit) {
        if list.len() > 1 {
            list.push(',');
        }
        list.push_str(&String::from_utf8_lossy(&update.body));
    }
    list.push(']');
    list
}
