//! Runs the SMSC sandbox alone: `cargo run -p omnigate-sandbox --example smsc_sandbox -- [ADDRESS] [OPTION…]`.
//!
//! ADDRESS may end in `:0`; the one taken is printed as the first line, as `HOST:PORT`, and the control's as the second, as
//! `http://…`. Options:
//!
//! - `--control ADDRESS`: where `/control` is served, `127.0.0.1:0` unless told otherwise
//! - `--account SYSTEM_ID:PASSWORD`: in place of `omnigate:sandbox1`
//! - `--max-binds N`, `--window N` and `--throughput N`: of the account; 0 is no limit for the latter two
//! - `--speed N`: divides delays
//! - `--null`: answers submissions without reading them, for measuring
//! - `--receipts`: with `--null`, gives a receipt at once for every message that asks for one
//! - `--quiet`: remembers nothing, for measuring without `--null`

use omnigate_sandbox::smsc::{Null, Options, Smsc};
use std::{env, error::Error, io::Write as _};
use tokio::{net::TcpListener, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut address = "127.0.0.1:2775".to_owned();
    let mut control = "127.0.0.1:0".to_owned();
    let mut options = Options::default();
    let mut account = options.accounts.remove(0);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--control" => control = value()?,
            "--account" => {
                let both = value()?;
                let (system_id, password) = both.split_once(':').ok_or("--account is SYSTEM_ID:PASSWORD")?;
                account.system_id = system_id.to_owned();
                account.password = password.to_owned();
            }
            "--max-binds" => account.max_binds = value()?.parse()?,
            "--window" => account.window = value()?.parse()?,
            "--throughput" => account.throughput = value()?.parse()?,
            "--speed" => options.speed = value()?.parse()?,
            "--null" => options.null = Some(options.null.unwrap_or_default()),
            "--receipts" => {
                options.null = Some(Null {
                    receipts: true,
                    ..Null::default()
                });
            }
            "--quiet" => (options.journal, options.contents) = (0, 0),
            option if option.starts_with("--") => return Err(format!("unknown option: {option}").into()),
            _ => address = argument,
        }
    }
    options.accounts.push(account);
    let (listener, control) = (TcpListener::bind(address).await?, TcpListener::bind(control).await?);
    let smsc = Smsc::start(listener, Some(control), options)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n{}", smsc.address(), smsc.control_url().unwrap_or_default())?;
    out.flush()?;
    drop(out);
    signal::ctrl_c().await?;
    smsc.stop().await;
    Ok(())
}
