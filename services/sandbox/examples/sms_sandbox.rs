//! Runs the sandboxes of SMS providers over HTTP: `cargo run -p omnigate-sandbox --example sms_sandbox -- [WEBHOOK]`.
//!
//! Each listens on a port of its own on 127.0.0.1. Printed are lines of a name and a value: the address of each API, and
//! what a client needs to know. WEBHOOK is where messages from people are told to; `/control/settings` changes it.

use omnigate_sandbox::{
    esms::{Esms, EsmsOptions},
    speedsms::{Speedsms, SpeedsmsOptions},
    twilio::{Options, Twilio, TwilioOptions},
};
use std::{env, error::Error, io::Write as _};
use tokio::{net::TcpListener, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut common = Options {
        webhook: env::args().nth(1),
        ..Options::default()
    };
    if let Some(speed) = env::var("SANDBOX_SPEED").ok().and_then(|speed| speed.parse().ok()) {
        common.speed = speed;
    }
    common.rate_limits = env::var("SANDBOX_RATE_LIMITS").as_deref() != Ok("off");
    let listener = || TcpListener::bind("127.0.0.1:0");
    let of_twilio = TwilioOptions {
        common: common.clone(),
        ..TwilioOptions::default()
    };
    let of_esms = EsmsOptions {
        common: common.clone(),
        ..EsmsOptions::default()
    };
    let of_speedsms = SpeedsmsOptions {
        common,
        ..SpeedsmsOptions::default()
    };
    let twilio = Twilio::start(listener().await?, of_twilio.clone())?;
    let esms = Esms::start(listener().await?, of_esms.clone())?;
    let speedsms = Speedsms::start(listener().await?, of_speedsms.clone())?;
    let mut out = std::io::stdout().lock();
    for (name, value) in [
        ("twilio", twilio.base_url().as_str()),
        ("twilio.account_sid", &of_twilio.account_sid),
        ("twilio.auth_token", &of_twilio.auth_token),
        ("esms", esms.base_url().as_str()),
        ("esms.control", &format!("http://{}/control", esms.address())),
        ("esms.api_key", &of_esms.api_key),
        ("esms.secret_key", &of_esms.secret_key),
        ("esms.mo_private_key", &of_esms.mo_private_key),
        ("speedsms", speedsms.base_url().as_str()),
        ("speedsms.control", &format!("http://{}/control", speedsms.address())),
        ("speedsms.access_token", &of_speedsms.access_token),
    ] {
        writeln!(out, "{name} {value}")?;
    }
    out.flush()?;
    drop(out);
    signal::ctrl_c().await?;
    twilio.stop().await;
    esms.stop().await;
    speedsms.stop().await;
    Ok(())
}
