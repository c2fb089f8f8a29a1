//! Runs the Telegram sandbox alone: `cargo run -p omnigate-sandbox --example telegram_sandbox -- 127.0.0.1:8081 [TOKEN]`.
//!
//! The address may end in `:0`; the one taken is printed as the first line, as `http://…`, and the token as the second.

use omnigate_sandbox::telegram::{BotOptions, Options, Telegram};
use std::{env, error::Error, io::Write as _};
use tokio::{net::TcpListener, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let mut options = Options::default();
    if let Some(token) = arguments.next() {
        options.bots = vec![BotOptions {
            token,
            ..BotOptions::default()
        }];
    }
    if let Some(speed) = env::var("SANDBOX_SPEED").ok().and_then(|speed| speed.parse().ok()) {
        options.speed = speed;
    }
    options.rate_limits = env::var("SANDBOX_RATE_LIMITS").as_deref() != Ok("off");
    let telegram = Telegram::start(TcpListener::bind(address).await?, options)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n{}", telegram.base_url(), telegram.token())?;
    out.flush()?;
    drop(out);
    signal::ctrl_c().await?;
    telegram.stop().await;
    Ok(())
}
