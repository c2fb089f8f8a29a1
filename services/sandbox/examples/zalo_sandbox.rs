//! Runs the Zalo sandbox alone: `cargo run -p omnigate-sandbox --example zalo_sandbox -- 127.0.0.1:8082 [WEBHOOK_URL]`.
//!
//! The address may end in `:0`. The first line printed is the address taken, as `http://…`; then come the app's id, the
//! app's secret, the OA Secret Key, the OA's id, its access token and its refresh token, a line each.

use omnigate_sandbox::zalo::{Options, Zalo};
use std::{env, error::Error, io::Write as _};
use tokio::{net::TcpListener, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8082".to_owned());
    let mut options = Options::default();
    if let Some(speed) = env::var("SANDBOX_SPEED").ok().and_then(|speed| speed.parse().ok()) {
        options.speed = speed;
    }
    if env::var("SANDBOX_RATE_LIMITS").as_deref() == Ok("off") {
        options.switches.rate_per_minute = 0;
    }
    let zalo = Zalo::start(TcpListener::bind(address).await?, options)?;
    if let Some(url) = arguments.next() {
        zalo.set_webhook(&url).await?;
    }
    let (access_token, refresh_token) = zalo.tokens().unwrap_or_default();
    let mut out = std::io::stdout().lock();
    for line in [
        zalo.base_url(),
        zalo.app_id(),
        zalo.app_secret(),
        zalo.oa_secret_key(),
        zalo.oa_id(),
        access_token,
        refresh_token,
    ] {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    drop(out);
    signal::ctrl_c().await?;
    zalo.stop().await;
    Ok(())
}
