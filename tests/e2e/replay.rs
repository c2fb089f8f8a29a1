//! The journal, driven again.

use crate::identity::{at_kiosk, says, with_entries};
use crate::privacy::erase;
use crate::{KIOSK, World};
use anyhow::ensure;
use omnigate_core::port::Clock as _;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{ReplayRequest, ReplayResponse};
use omnigate_runtime::clock::SystemClock;
use omnigate_tests::reading::customer_of;
use tonic::Code;

pub(crate) async fn the_journal_is_driven_again(world: &World) -> anyhow::Result<()> {
    let from = SystemClock.now();
    let (stays, goes) = (at_kiosk("replay-1"), at_kiosk("replay-2"));
    says(world, &stays, &[], "một").await?;
    says(world, &stays, &[], "hai").await?;
    says(world, &goes, &[], "quên tôi đi").await?;
    with_entries(world, &stays, 2).await?;
    let (gone, _) = with_entries(world, &goes, 1).await?;
    erase(world, &gone.customer_id, "replay-erase").await?;
    let to = SystemClock.now();
    let asked = |dry_run| ReplayRequest {
        from: Some(from.to_timestamp()),
        to: Some(to.to_timestamp()),
        account_id: KIOSK.to_owned(),
        dry_run,
        resume_token: String::new(),
    };
    // The dry run put nothing on its way, and a replay's copies are not replayed: the numbers stay the same.
    for dry_run in [true, false, false] {
        let told = replayed(world, asked(dry_run)).await?;
        let counts = (told.replayed, told.erased, told.unreadable);
        ensure!(counts == (2, 1, 0) && told.done, "{told:?}");
    }
    let token = replayed(world, asked(true)).await?.resume_token;
    let resumed = ReplayRequest {
        resume_token: token,
        ..asked(true)
    };
    let told = replayed(world, resumed.clone()).await?;
    ensure!(told.replayed == 0, "it did not go on where it was: {told:?}");
    // Behind what was replayed, in the same thread.
    says(world, &stays, &[], "bốn").await?;
    let (_, said) = with_entries(world, &stays, 3).await?;
    ensure!(said == ["một", "hai", "bốn"], "{said:?}");
    ensure!(customer_of(&world.connection, goes).await?.is_none());
    wrong_requests_are_refused(world, asked(true), resumed, to).await
}

async fn wrong_requests_are_refused(
    world: &World,
    asked: ReplayRequest,
    resumed: ReplayRequest,
    to: Moment,
) -> anyhow::Result<()> {
    let wrong = [
        ReplayRequest {
            from: None,
            ..asked.clone()
        },
        ReplayRequest {
            from: Some(to.to_timestamp()),
            ..asked
        },
        ReplayRequest {
            dry_run: false,
            ..resumed
        },
    ];
    for wrong in wrong {
        let refused = world.connection.replays().replay(wrong.clone()).await;
        let code = refused.err().map(|status| status.code());
        ensure!(code == Some(Code::InvalidArgument), "{wrong:?}: {code:?}");
    }
    Ok(())
}

async fn replayed(world: &World, asked: ReplayRequest) -> anyhow::Result<ReplayResponse> {
    let mut told = world.connection.replays().replay(asked).await?.into_inner();
    let mut last = ReplayResponse::default();
    while let Some(next) = told.message().await? {
        last = next;
    }
    Ok(last)
}
