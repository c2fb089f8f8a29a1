//! `omnigate customers export|erase`

use super::{get, show};
use crate::cli::{Output, Remote};
use crate::commands::{print, remote};
use anyhow::Context as _;
use omnigate_proto::v1::{EraseCustomerRequest, ExportCustomerRequest};
use std::fs::OpenOptions;
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// Writes everything that is kept about a customer, one item a line. A file must not be there before, and is readable by
/// its owner alone.
pub(super) async fn export(remote: &Remote, customer: &str, file: Option<&Path>) -> anyhow::Result<()> {
    let connection = remote::open(remote).await?;
    let customer_id = remote::customer_id(&connection, customer).await?;
    let asked = ExportCustomerRequest { customer_id };
    let answer = connection.customers().export_customer(asked).await;
    let mut parts = answer.map_err(remote::refused)?.into_inner();
    let mut out = match file {
        Some(path) => {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let opened = options.open(path);
            Some(BufWriter::new(
                opened.with_context(|| format!("cannot write {}", path.display()))?,
            ))
        }
        None => None,
    };
    let mut items = 0;
    while let Some(part) = parts.message().await.map_err(remote::refused)? {
        for item in &part.items {
            items += 1;
            match &mut out {
                Some(out) => writeln!(out, "{}", serde_json::to_string(item)?)?,
                None => print::json(item)?,
            }
        }
    }
    if let (Some(out), Some(path)) = (out, file) {
        let file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.sync_all()?;
        print::aside(&format!("{items} items written to {}", path.display()));
    }
    Ok(())
}

/// Erases a customer, if that is meant.
pub(super) async fn erase(
    remote: &Remote,
    customer: &str,
    yes: bool,
    request_id: Option<String>,
) -> anyhow::Result<()> {
    let connection = remote::open(remote).await?;
    let customer_id = remote::customer_id(&connection, customer).await?;
    if !yes {
        show(remote, &get(&connection, customer_id).await?)?;
        anyhow::bail!("nothing is erased without --yes: it cannot be undone");
    }
    let asked = EraseCustomerRequest {
        customer_id,
        request_id: remote::request_id(request_id.as_deref())?,
    };
    let answer = connection.customers().erase_customer(asked).await;
    let erasure = answer
        .map_err(remote::refused)?
        .into_inner()
        .erasure
        .unwrap_or_default();
    if remote.output == Output::Json {
        return print::json(&erasure);
    }
    print::line(&format!(
        "{} erased with {} identifiers: nothing is left in the store since {}",
        erasure.customer_id,
        erasure.identifiers,
        print::time(erasure.finished_at.as_ref())
    ));
    print::all(
        Output::Table,
        &erasure.remaining_copies,
        &["COPIES IN", "GONE BY (UTC)"],
        |copy| vec![copy.place.clone(), print::time(copy.gone_at.as_ref())],
    )
}
