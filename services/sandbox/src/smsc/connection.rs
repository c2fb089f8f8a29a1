//! One TCP connection: bytes in, bytes out, and when to look again.

use super::{
    null::NullLine,
    pdu::{Framed, next_frame},
    server::Shared,
    session::{Ending, Mode},
};
use bytes::BytesMut;
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

/// Octets that may wait for an ESME that does not read; above it nothing more is read from it either.
const UNSENT: usize = 1 << 20;
const READ: usize = 1 << 16;
/// How long the last words may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub(super) async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    // A fake that waits for Nagle would make every latency measured against it a lie.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "nodelay refused");
    }
    let Some((id, wake)) = shared.lock().connected(shared.now()) else {
        reset(&stream);
        return;
    };
    shared.changed();
    let cancel = shared.cancel.clone();
    tokio::select! {
        talked = talk(&mut stream, &shared, id, &wake) => {
            if let Err(error) = talked {
                tracing::debug!(%error, "connection lost");
            }
        }
        // No grace: a provider that vanishes does so in the middle of an answer.
        () = cancel.cancelled() => {}
    }
    shared.lock().disconnected(id, shared.now());
    shared.changed();
}

async fn talk(stream: &mut TcpStream, shared: &Shared, id: u64, wake: &Notify) -> io::Result<()> {
    let mut input = BytesMut::with_capacity(READ);
    let mut output = BytesMut::new();
    let mut null = NullLine::new(&shared.options, &shared.null);
    let mut mode = Mode::Open;
    loop {
        take_in(shared, id, &mut input, &mut output, null.as_mut(), mode);
        let turn = shared.lock().turn(id, shared.now());
        shared.changed();
        mode = turn.mode;
        output.unsplit(turn.out);
        match turn.ending {
            Some(Ending::Reset) => {
                // What was answered before arrives; then the connection goes without a word.
                let said = timeout(LAST_WORDS, stream.write_all(&output)).await;
                reset(stream);
                return said.unwrap_or(Ok(()));
            }
            Some(Ending::Close) if output.is_empty() => return close(stream).await,
            _ => {}
        }
        let reads = turn.ending.is_none() && output.len() < UNSENT;
        let wakes_at = turn.wakes_at;
        input.reserve(READ);
        let (mut reader, mut writer) = stream.split();
        tokio::select! {
            written = writer.write_buf(&mut output), if !output.is_empty() => {
                written?;
            }
            read = reader.read_buf(&mut input), if reads => {
                if read? == 0 {
                    return Ok(());
                }
            }
            () = wake.notified() => {}
            () = sleep_until(wakes_at.unwrap_or_else(Instant::now)), if wakes_at.is_some() => {}
        }
    }
}

/// Hands on what came, as far as it is whole.
fn take_in(
    shared: &Shared,
    id: u64,
    input: &mut BytesMut,
    output: &mut BytesMut,
    mut null: Option<&mut NullLine>,
    mode: Mode,
) {
    let now = shared.now();
    let limit = shared.options.longest_pdu;
    let mut center = None;
    loop {
        if let Some(null) = &mut null {
            null.answer(input, output, mode, now);
        }
        let framed = next_frame(input, limit);
        if matches!(framed, Framed::Incomplete) {
            return;
        }
        let center = center.get_or_insert_with(|| shared.lock());
        match framed {
            Framed::Frame(frame) => center.heard(id, [frame], now),
            Framed::BadLength { sequence } => {
                center.bad_length(id, sequence);
                input.clear();
                return;
            }
            Framed::Incomplete => return,
        }
    }
}

/// Closes such that what was said arrives: the rest that the ESME says is read, not answered with a reset.
async fn close(stream: &mut TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    let drained = timeout(LAST_WORDS, async {
        while stream.read(&mut rest).await? > 0 {}
        Ok(())
    });
    drained.await.unwrap_or(Ok(()))
}

/// With no linger the close that follows sends RST, as a crashed front server does.
fn reset(stream: &TcpStream) {
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "linger refused");
    }
}
