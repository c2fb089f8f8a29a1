//! `omnigate consent …`

mod listed;

use super::{print, remote};
use crate::cli::{Consent, GetConsent, Output, Refuse, SetConsent};
use omnigate_core::identifier;
use omnigate_core::time::Moment;
use omnigate_proto::v1::get_consent_request::Of;
use omnigate_proto::v1::{
    self, ConsentDecision, ConsentLayer, EffectiveConsent, GetConsentRequest, LegalBasis, ListConsentsRequest,
    SetConsentRequest, SetMarketingRefusalRequest,
};
use pbjson_types::Timestamp;

/// Runs it.
pub async fn run(arguments: &Consent) -> anyhow::Result<u8> {
    match arguments {
        Consent::Get(arguments) => get(arguments).await?,
        Consent::Set(arguments) => set(arguments).await?,
        Consent::History {
            remote,
            identifier,
            limit,
        } => history(remote, identifier, limit.unwrap_or(usize::MAX)).await?,
        Consent::Refuse(arguments) => refuse(arguments).await?,
        Consent::Suppress(arguments) => listed::suppress(arguments).await?,
        Consent::Unsuppress(arguments) => listed::unsuppress(arguments).await?,
        Consent::Suppressions {
            remote,
            identifier,
            limit,
        } => listed::show(remote, identifier.as_deref(), limit.unwrap_or(usize::MAX)).await?,
    }
    Ok(0)
}

/// A moment that a flag may give.
fn timestamp(flag: &str, given: Option<&str>) -> anyhow::Result<Option<Timestamp>> {
    given
        .map(|text| remote::moment(flag, text).map(Moment::to_timestamp))
        .transpose()
}

async fn get(arguments: &GetConsent) -> anyhow::Result<()> {
    let connection = remote::open(&arguments.remote).await?;
    let of = match arguments.who.starts_with("cus_") {
        true => Of::CustomerId(arguments.who.clone()),
        false => Of::Identifier(remote::identifier(&arguments.who)?),
    };
    let asked = GetConsentRequest {
        of: Some(of),
        channel: arguments.channel.clone(),
        purpose: v1::Purpose::from(arguments.purpose).into(),
        account_id: arguments.account.clone().unwrap_or_default(),
    };
    let answer = connection.consents().get_consent(asked).await;
    let answer = answer.map_err(remote::refused)?.into_inner();
    if arguments.remote.output == Output::Json {
        return print::json(&answer);
    }
    for consent in &answer.consents {
        print::line(&print::printable(&summary(consent)));
        let header = ["LAYER", "SAYS", "DECIDES", "SINCE (UTC)", "WHY"];
        print::all(Output::Table, &consent.layers, &header, layer)?;
    }
    Ok(())
}

fn summary(consent: &EffectiveConsent) -> String {
    let whom = consent.identifier.as_ref().map(identifier::text).unwrap_or_default();
    let purpose = short(consent.purpose().as_str_name(), "PURPOSE_");
    let channel = &consent.channel;
    match consent.decision() {
        ConsentDecision::Refused => format!("{whom}: {purpose} on {channel} is refused ({})", consent.code),
        _ => format!("{whom}: {purpose} on {channel} is allowed"),
    }
}

fn layer(layer: &ConsentLayer) -> Vec<String> {
    vec![
        short(layer.kind().as_str_name(), "CONSENT_LAYER_KIND_"),
        short(layer.says().as_str_name(), "CONSENT_WORD_"),
        if layer.decides { "yes" } else { "" }.to_owned(),
        print::time(layer.since.as_ref()),
        layer.detail.clone(),
    ]
}

/// A value of the contract as a word.
pub(super) fn short(name: &str, prefix: &str) -> String {
    name.trim_start_matches(prefix).to_lowercase().replace('_', "-")
}

async fn set(arguments: &SetConsent) -> anyhow::Result<()> {
    let connection = remote::open(&arguments.remote).await?;
    let basis = arguments.basis.map(LegalBasis::from).unwrap_or_default();
    let asked = SetConsentRequest {
        identifier: Some(remote::identifier(&arguments.identifier)?),
        channel: arguments.channel.clone(),
        purpose: v1::Purpose::Marketing.into(),
        status: v1::ConsentStatus::from(arguments.status).into(),
        basis: basis.into(),
        source: arguments.source.clone(),
        text_version: arguments.text_version.clone(),
        proof: arguments.proof.clone(),
        at: timestamp("--at", arguments.at.as_deref())?,
        expires_at: timestamp("--expires-at", arguments.expires_at.as_deref())?,
        request_id: remote::request_id(arguments.request_id.as_deref())?,
    };
    let answer = connection.consents().set_consent(asked).await;
    let consent = answer.map_err(remote::refused)?.into_inner().consent;
    facts(&arguments.remote, &consent.into_iter().collect::<Vec<_>>())
}

async fn history(remote: &crate::cli::Remote, identifier: &str, limit: usize) -> anyhow::Result<()> {
    let connection = remote::open(remote).await?;
    let identifier = remote::identifier(identifier)?;
    let mut found: Vec<v1::Consent> = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = ListConsentsRequest {
            identifier: Some(identifier.clone()),
            page_size: i32::try_from(limit.min(1000)).unwrap_or(1000),
            page_token,
        };
        let answer = connection.consents().list_consents(asked).await;
        let page = answer.map_err(remote::refused)?.into_inner();
        found.extend(page.consents);
        page_token = page.next_page_token;
        if page_token.is_empty() || found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    facts(remote, &found)
}

fn facts(remote: &crate::cli::Remote, facts: &[v1::Consent]) -> anyhow::Result<()> {
    let header = [
        "NO",
        "SAID (UTC)",
        "CHANNEL",
        "PURPOSE",
        "STATUS",
        "STOOD",
        "ENDS (UTC)",
        "BASIS",
        "SOURCE",
        "TEXT",
        "PROOF",
    ];
    print::all(remote.output, facts, &header, |fact| {
        let basis = short(fact.basis().as_str_name(), "LEGAL_BASIS_");
        vec![
            fact.number.to_string(),
            print::time(fact.at.as_ref()),
            fact.channel.clone(),
            short(fact.purpose().as_str_name(), "PURPOSE_"),
            short(fact.status().as_str_name(), "CONSENT_STATUS_"),
            if fact.stood { "yes" } else { "no" }.to_owned(),
            print::time(fact.expires_at.as_ref()),
            if basis == "unspecified" { String::new() } else { basis },
            fact.source.clone(),
            fact.text_version.clone(),
            if fact.event_id.is_empty() {
                fact.proof.clone()
            } else {
                format!("event {}", fact.event_id)
            },
        ]
    })
}

async fn refuse(arguments: &Refuse) -> anyhow::Result<()> {
    let connection = remote::open(&arguments.remote).await?;
    let asked = SetMarketingRefusalRequest {
        customer_id: remote::customer_id(&connection, &arguments.customer).await?,
        refuses: !arguments.take_back,
        source: arguments.source.clone(),
        proof: arguments.proof.clone(),
        request_id: remote::request_id(arguments.request_id.as_deref())?,
    };
    let answer = connection.consents().set_marketing_refusal(asked).await;
    let answer = answer.map_err(remote::refused)?.into_inner();
    if arguments.remote.output == Output::Json {
        return print::json(&answer);
    }
    let what = if answer.refuses {
        "wants no advertising"
    } else {
        "did not refuse advertising"
    };
    print::line(&format!("{} {what}", answer.customer_id));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use omnigate_proto::v1::{ConsentLayerKind, ConsentWord, Identifier, Purpose};

    #[test]
    fn an_answer_is_a_sentence_and_its_layers_are_rows() {
        let refused = EffectiveConsent {
            identifier: Some(Identifier {
                r#type: "phone".to_owned(),
                value: "+84912345678".to_owned(),
                ..Identifier::default()
            }),
            channel: "sms".to_owned(),
            purpose: Purpose::Marketing.into(),
            decision: ConsentDecision::Refused.into(),
            code: "suppressed".to_owned(),
            ..EffectiveConsent::default()
        };
        assert_eq!(
            summary(&refused),
            "phone//+84912345678: marketing on sms is refused (suppressed)"
        );
        let row = layer(&ConsentLayer {
            kind: ConsentLayerKind::Suppression.into(),
            says: ConsentWord::Refuses.into(),
            decides: true,
            detail: "why".to_owned(),
            since: Some(Moment(1_800_000_000_000).to_timestamp()),
        });
        assert_eq!(row, ["suppression", "refuses", "yes", "2027-01-15 08:00:00", "why"]);
    }
}
