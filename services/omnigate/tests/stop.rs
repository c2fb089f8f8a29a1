//! A stop in the middle of fetching tokens, with a real process: what the provider handed out is not lost.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it is surprised")]

use omnigate_core::keyring::{KEY_BYTES, Keyring};
use omnigate_core::keys;
use omnigate_core::port::Clock;
use omnigate_core::protocol::{Ports, credential};
use omnigate_runtime::clock::{SystemClock, SystemEntropy};
use omnigate_sandbox::zalo::{Options, Zalo, ZaloHandle};
use omnigate_store::sealed::SealedStore;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// How long Zalo takes: longer than flushing may, shorter than a fetch may.
const SLOW: Duration = Duration::from_secs(7);
/// How long a busy machine may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// One process that only looks after an account; nobody listens where others may.
fn serve(folder: &Path, zalo: &ZaloHandle, oauth: SocketAddr) -> Child {
    let (_, refresh_token) = zalo.tokens().unwrap();
    let text = format!(
        "data_dir = {folder:?}\n\
         [listen]\napi = \"127.0.0.1:0\"\ningest = \"127.0.0.1:0\"\nedge = \"127.0.0.1:0\"\nsessions = \"127.0.0.1:0\"\n\
         webhooks = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
         [store]\nseal_key = {{ file = \"seal.key\" }}\n\
         [accounts.oa]\nchannel = \"zalo\"\n\
         [accounts.oa.settings]\napp_id = \"{}\"\noa_id = \"{}\"\napp_secret = \"{}\"\noa_secret_key = \"{}\"\n\
         refresh_token = \"{refresh_token}\"\napi_url = \"{url}\"\nzns_url = \"{url}\"\noauth_url = \"http://{oauth}\"\n",
        zalo.app_id(),
        zalo.oa_id(),
        zalo.app_secret(),
        zalo.oa_secret_key(),
        folder = folder.join("data"),
        url = zalo.base_url(),
    );
    std::fs::write(folder.join("seal.key"), format!("{}\n", "5e".repeat(KEY_BYTES))).unwrap();
    let file = folder.join("omnigate.toml");
    std::fs::write(&file, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_omnigate"))
        .args(["serve", "--config"])
        .arg(file)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets calls through to Zalo, slowly; says when the first one came.
async fn slowly(zalo: &ZaloHandle) -> (SocketAddr, oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, beyond) = (listener.local_addr().unwrap(), zalo.address());
    let (came, first) = oneshot::channel();
    tokio::spawn(async move {
        let mut came = Some(came);
        while let Ok((mut here, _)) = listener.accept().await {
            if let Some(came) = came.take() {
                came.send(()).unwrap();
            }
            tokio::spawn(async move {
                tokio::time::sleep(SLOW).await;
                let mut there = TcpStream::connect(beyond).await.unwrap();
                tokio::io::copy_bidirectional(&mut here, &mut there).await
            });
        }
    });
    (address, first)
}

async fn ended(mut child: Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it does not stop");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_stop_waits_for_the_pair_that_a_slow_provider_hands_out() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let zalo = Zalo::start(listener, Options::default()).unwrap();
    let (oauth, fetch) = slowly(&zalo).await;
    let gateway = serve(folder.path(), &zalo, oauth);
    tokio::time::timeout(PATIENCE, fetch).await.unwrap().unwrap();
    let asked = Instant::now();
    let killed = Command::new("kill").args(["-TERM", &gateway.id().to_string()]).status();
    assert!(killed.unwrap().success());
    let status = ended(gateway).await;
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(0), "the drain finished");
    assert!(took > SLOW / 2, "it was not in the middle of a fetch: {took:?}");
    assert!(took < SLOW + Duration::from_secs(20), "{took:?}");
    assert_eq!(zalo.counters().tokens, 1);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = omnigate_store::open("", &folder.path().join("data"), Arc::clone(&clock))
        .await
        .unwrap();
    let entropy = Arc::new(SystemEntropy::new().unwrap());
    let unsealed = Ports::new(Arc::clone(&store), Arc::clone(&clock), entropy.clone());
    assert!(
        credential::read(&unsealed.context(), "oa").await.is_err(),
        "nobody reads tokens without the key"
    );
    let keys = Keyring::new(&[0x5e; KEY_BYTES], &[]).unwrap();
    let store = Arc::new(SealedStore::new(store, keys, entropy.clone(), keys::is_secret));
    let ports = Ports::new(store, clock, entropy);
    let record = credential::read(&ports.context(), "oa").await.unwrap().unwrap();
    let (access_token, refresh_token) = zalo.tokens().unwrap();
    assert!(
        record.access_token == access_token && record.refresh_token == refresh_token,
        "the living pair"
    );
}
