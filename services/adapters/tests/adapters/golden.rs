//! Finds, reads and writes golden files.

use omnigate_core::{
    account::{Account, AdapterRef, App, Limits, Settings},
    port::adapter::Kind,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Ways in which providers sign what they send.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Signature {
    Twilio,
}

/// What the golden files of one adapter share.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shared {
    /// Channel of the adapter.
    pub(crate) channel: String,
    /// Its provider, where the channel has several.
    #[serde(default)]
    pub(crate) provider: String,
    /// Headers without which a call is not genuine.
    pub(crate) signature_headers: Vec<String>,
    /// Query parameters without which a call is not genuine.
    #[serde(default)]
    pub(crate) signature_parameters: Vec<String>,
    /// How calls are signed, where the signature depends on what is called.
    pub(crate) signature: Option<Signature>,
    /// Settings of the app; those of the account when missing.
    pub(crate) app: Option<Map<String, Value>>,
    /// Settings of the account.
    pub(crate) account: Map<String, Value>,
    /// Headers of every inbound request.
    pub(crate) headers: Map<String, Value>,
}

/// A folder `testdata`.
pub(crate) struct Kit {
    /// Where it is.
    pub(crate) folder: PathBuf,
    /// Its `kit.json`.
    pub(crate) shared: Shared,
}

impl Kit {
    /// Golden files of one sort, by name.
    pub(crate) fn files(&self, sort: &str) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = entries(&self.folder.join(sort))
            .into_iter()
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .collect();
        files.sort();
        files
    }

    /// The adapter.
    pub(crate) fn kind(&self) -> &'static dyn Kind {
        omnigate_adapters::kind(&self.shared.channel, &self.shared.provider).unwrap()
    }

    /// The one account of most files.
    pub(crate) fn account(&self, settings: Option<&Map<String, Value>>) -> Account {
        account(
            "shop",
            "shop",
            &self.shared.channel,
            &self.shared.provider,
            settings.unwrap_or(&self.shared.account),
        )
    }

    /// The app of an account that is its own.
    pub(crate) fn app(&self, account: &Account) -> App {
        match &self.shared.app {
            Some(settings) => app("app", &self.shared.channel, &self.shared.provider, settings, false),
            None => app(
                &account.app_id,
                &self.shared.channel,
                &self.shared.provider,
                &account.settings.0,
                true,
            ),
        }
    }

    /// Values of the adapter's secret settings.
    pub(crate) fn secrets(&self, account: &Account) -> Vec<String> {
        let names = self.kind().secret_settings().iter();
        names
            .filter_map(|name| account.settings.0.get(*name)?.as_str().map(str::to_owned))
            .collect()
    }
}

/// An account.
pub(crate) fn account(id: &str, app_id: &str, channel: &str, provider: &str, settings: &Map<String, Value>) -> Account {
    Account {
        id: id.to_owned(),
        tenant_id: "default".to_owned(),
        channel: channel.to_owned(),
        provider: provider.to_owned(),
        display_name: String::new(),
        adapter: AdapterRef::Builtin,
        app_id: app_id.to_owned(),
        settings: Settings(settings.clone()),
        limits: Limits::default(),
    }
}

/// An app.
pub(crate) fn app(id: &str, channel: &str, provider: &str, settings: &Map<String, Value>, implicit: bool) -> App {
    App {
        id: id.to_owned(),
        tenant_id: "default".to_owned(),
        channel: channel.to_owned(),
        provider: provider.to_owned(),
        settings: Settings(settings.clone()),
        implicit,
    }
}

/// All folders of golden files.
pub(crate) fn kits() -> Vec<Kit> {
    let mut kits = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        let kit = folder.join("kit.json");
        if kit.is_file() {
            kits.push(Kit {
                shared: read(&kit),
                folder,
            });
        } else {
            folders.extend(entries(&folder).into_iter().filter(|path| path.is_dir()));
        }
    }
    assert!(!kits.is_empty(), "no golden files found");
    kits
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => Vec::new(),
    }
}

/// Reads a golden file.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether goldens are written rather than compared.
pub(crate) fn is_writing() -> bool {
    std::env::var("OMNIGATE_GOLDEN").is_ok_and(|value| value == "write")
}

/// Writes a golden file.
pub(crate) fn write<T: Serialize>(path: &Path, golden: &T) {
    let mut text = serde_json::to_string_pretty(golden).unwrap();
    text.push('\n');
    fs::write(path, text).unwrap();
}

/// Collects what differs, so that one run names all files.
#[derive(Default)]
pub(crate) struct Differences(Vec<String>);

impl Differences {
    /// Compares two values of a file.
    pub(crate) fn compare(&mut self, path: &Path, what: &str, actual: &Value, expected: &Value) {
        if actual != expected {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
            self.0.push(format!(
                "{name}: {what} is\n{}\nbut should be\n{}",
                pretty(actual),
                pretty(expected)
            ));
        }
    }

    /// Fails when there are any.
    pub(crate) fn finish(self) {
        assert!(
            self.0.is_empty(),
            "{} differences (OMNIGATE_GOLDEN=write takes the new values over):\n{}",
            self.0.len(),
            self.0.join("\n\n")
        );
    }
}
