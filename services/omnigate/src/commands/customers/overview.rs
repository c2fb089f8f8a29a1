//! `omnigate customers overview`

use super::show;
use crate::cli::{Output, OverviewOfCustomer};
use crate::commands::consent::short;
use crate::commands::{conversations, entry, print, remote};
use omnigate_core::identifier;
use omnigate_proto::v1::get_customer_overview_request::Of;
use omnigate_proto::v1::{Customer, GetCustomerOverviewRequest, GetCustomerOverviewResponse};

pub(super) async fn overview(arguments: &OverviewOfCustomer) -> anyhow::Result<()> {
    let remote = &arguments.remote;
    let connection = remote::open(remote).await?;
    let of = match arguments.customer.starts_with("cus_") {
        true => Of::CustomerId(arguments.customer.clone()),
        false => Of::Identifier(remote::identifier(&arguments.customer)?),
    };
    let asked = GetCustomerOverviewRequest {
        of: Some(of),
        newest_entries: arguments.entries,
    };
    let answer = connection.customers().get_customer_overview(asked).await;
    let overview = answer.map_err(remote::refused)?.into_inner();
    if remote.output == Output::Json {
        return print::json(&overview);
    }
    let customer = overview.customer.clone().unwrap_or_default();
    show(remote, &customer)?;
    identifiers(&customer)?;
    touchpoints(&overview)?;
    if !overview.conversations.is_empty() {
        print::all(
            Output::Table,
            &overview.conversations,
            conversations::HEADER,
            conversations::row,
        )?;
    }
    wishes(&overview)?;
    for conflict in &overview.conflicts {
        let rules = conflict.rules.join(", ");
        print::line(&format!("kept apart from {} by {rules}", conflict.other_customer_id));
    }
    for entry in overview.entries.iter().rev() {
        print::line(&print::printable(&entry::one_line(entry)));
    }
    Ok(())
}

fn identifiers(customer: &Customer) -> anyhow::Result<()> {
    let header = ["IDENTIFIER", "EVIDENCE", "SINCE (UTC)"];
    print::all(Output::Table, &customer.identifiers, &header, |owned| {
        vec![
            owned.identifier.as_ref().map(identifier::text).unwrap_or_default(),
            short(owned.evidence().as_str_name(), "EVIDENCE_"),
            print::time(owned.since.as_ref()),
        ]
    })
}

fn touchpoints(overview: &GetCustomerOverviewResponse) -> anyhow::Result<()> {
    let header = [
        "CHANNEL",
        "LAST WROTE (UTC)",
        "LAST ANSWERED (UTC)",
        "IN",
        "OUT",
        "ENTRIES",
    ];
    print::all(Output::Table, &overview.touchpoints, &header, |touchpoint| {
        vec![
            touchpoint.channel.clone(),
            print::time(touchpoint.last_inbound_at.as_ref()),
            print::time(touchpoint.last_outbound_at.as_ref()),
            touchpoint.inbound_count.to_string(),
            touchpoint.outbound_count.to_string(),
            touchpoint.entry_count.to_string(),
        ]
    })
}

/// What the customer agreed to and refused, and what must not be sent to them.
fn wishes(overview: &GetCustomerOverviewResponse) -> anyhow::Result<()> {
    if !overview.consents.is_empty() {
        let header = ["CONSENT OF", "CHANNEL", "PURPOSE", "STATUS", "SINCE (UTC)", "SOURCE"];
        print::all(Output::Table, &overview.consents, &header, |fact| {
            vec![
                fact.identifier.as_ref().map(identifier::text).unwrap_or_default(),
                fact.channel.clone(),
                short(fact.purpose().as_str_name(), "PURPOSE_"),
                short(fact.status().as_str_name(), "CONSENT_STATUS_"),
                print::time(fact.at.as_ref()),
                fact.source.clone(),
            ]
        })?;
    }
    for refusal in &overview.marketing_refusals {
        let (since, source) = (print::time(refusal.at.as_ref()), &refusal.source);
        print::line(&print::printable(&format!(
            "wants no advertising at all since {since} ({source})"
        )));
    }
    for of in &overview.suppressed {
        let named = of.identifier.as_ref().map(identifier::text).unwrap_or_default();
        for listed in of.suppressions.iter().filter(|listed| listed.holds) {
            let reason = short(listed.reason().as_str_name(), "SUPPRESSION_REASON_");
            let what = if listed.marketing_only {
                "no advertising"
            } else {
                "nothing"
            };
            let channel = match listed.channel.as_str() {
                "" => "on any channel".to_owned(),
                channel => format!("by {channel}"),
            };
            let since = print::time(listed.at.as_ref());
            let line = format!("{what} is sent to {named} {channel} since {since}: {reason}");
            print::line(&print::printable(&line));
        }
    }
    Ok(())
}
