use super::*;
use crate::audience;
use omnigate_proto::v1::DeliveryState;

fn definition() -> Campaign {
    Campaign {
        display_name: "Tết".to_owned(),
        audience_id: AudienceId::new("t", "a").to_string(),
        purpose: Purpose::Marketing.into(),
        steps: vec![CampaignStep {
            account_id: "sms".to_owned(),
            template_id: TemplateId::new("t", Moment(5), [7; 16]).to_string(),
            ..CampaignStep::default()
        }],
        ..Campaign::default()
    }
}

fn said(wrong: impl FnOnce(&mut Campaign)) -> String {
    let mut campaign = definition();
    wrong(&mut campaign);
    check(&campaign).map_or_else(|mistake| mistake.field, |()| "nothing".to_owned())
}

#[test]
fn every_mistake_names_its_field() {
    assert_eq!(check(&definition()), Ok(()));
    assert_eq!(audience::MAX_EXCLUDED, MAX_EXCLUDED, "what a list may exclude, too");
    let long = "x".repeat(MAX_NAME + 1);
    assert_eq!(said(|it| it.display_name = long), "display_name");
    assert_eq!(said(|it| it.display_name = "ấ".repeat(MAX_NAME)), "nothing");
    assert_eq!(said(|it| it.display_name.clear()), "display_name");
    assert_eq!(said(|it| it.display_name = "a\u{7}".to_owned()), "display_name");
    assert_eq!(said(|it| it.audience_id = "list".to_owned()), "audience_id");
    assert_eq!(
        said(|it| it.excluded_audience_ids = vec![it.audience_id.clone()]),
        "excluded_audience_ids"
    );
    let many = |count: usize| (0..count).map(|n| AudienceId::new("t", &n.to_string()).to_string());
    assert_eq!(said(|it| it.excluded_audience_ids = many(20).collect()), "nothing");
    assert_eq!(
        said(|it| it.excluded_audience_ids = many(21).collect()),
        "excluded_audience_ids"
    );
    assert_eq!(said(|it| it.purpose = 0), "purpose");
    assert_eq!(said(|it| it.purpose = 99), "purpose");
    assert_eq!(said(|it| it.steps.clear()), "steps[0].account_id");
    assert_eq!(
        said(|it| it.steps[0].template_id = "x".to_owned()),
        "steps[0].template_id"
    );
    assert_eq!(said(|it| it.steps[0].success = 99), "steps[0].success");
    assert_eq!(said(|it| it.steps[0].fall_back_on = vec![0]), "steps[0].fall_back_on");
    assert_eq!(said(|it| it.steps[0].fall_back_on = vec![99]), "steps[0].fall_back_on");
    assert_eq!(said(|it| it.on_unknown = 99), "on_unknown");
    assert_eq!(said(|it| it.scope = 99), "scope");
    assert_eq!(said(|it| it.late_by_ms = 7 * 86_400_000), "nothing");
    assert_eq!(said(|it| it.late_by_ms = 7 * 86_400_000 + 1), "late_by_ms");
    assert_eq!(said(|it| it.send_within_ms = 59_999), "send_within_ms");
    assert_eq!(said(|it| it.send_within_ms = 30 * 86_400_000 + 1), "send_within_ms");
    for rate in [-1.0, f64::NAN, f64::INFINITY, 0.000_1, 100_001.0, -0.0] {
        assert_eq!(said(|it| it.messages_per_second = rate), "messages_per_second");
    }
    assert_eq!(said(|it| it.messages_per_second = 0.5), "nothing");
    assert_eq!(said(|it| it.weight = 101), "weight");
}

#[test]
fn a_start_lies_ahead_and_not_beyond_a_year() {
    assert!(check_start(Moment(5), Moment(5)).is_err());
    assert!(check_start(Moment(6), Moment(5)).is_ok());
    assert!(check_start(Moment(366 * 86_400_000 + 6), Moment(5)).is_err());
}

fn record(state: CampaignState) -> CampaignRecord {
    let mut campaign = definition();
    campaign.state = state.into();
    campaign.epoch = 3;
    if matches!(state, CampaignState::Running | CampaignState::Paused) {
        campaign.started_at = Some(Moment(1_000).to_timestamp());
    }
    CampaignRecord {
        campaign: Some(campaign),
        send_until_ms: 1_000 + 86_400_000,
        ..CampaignRecord::default()
    }
}

#[test]
fn what_has_begun_keeps_its_content() {
    let name = Change {
        display_name: Some("Te\u{302}\u{301}t".to_owned()),
        weight: Some(3),
        messages_per_second: Some(2.5),
        ..Change::default()
    };
    let steps = Change {
        steps: Some(definition().steps),
        ..Change::default()
    };
    let each: [fn(&mut Change); 8] = [
        |it| it.audience_id = Some(definition().audience_id),
        |it| it.excluded_audience_ids = Some(vec![]),
        |it| it.purpose = Some(1),
        |it| it.steps = Some(definition().steps),
        |it| it.start_at = Some(Moment(9)),
        |it| it.late_by_ms = Some(1),
        |it| it.on_unknown = Some(1),
        |it| it.scope = Some(1),
    ];
    for state in [CampaignState::Planning, CampaignState::Running, CampaignState::Paused] {
        let next = changed(&record(state), &name).unwrap();
        let campaign = next.campaign.unwrap();
        assert_eq!((campaign.display_name.as_str(), campaign.weight), ("Tết", 3));
        assert_eq!(campaign.epoch, 3, "nobody has to look at anything anew");
        for set in each {
            let mut change = Change::default();
            set(&mut change);
            assert!(
                matches!(changed(&record(state), &change), Err(NotChanged::Fixed(_))),
                "{change:?}"
            );
        }
    }
    for state in [CampaignState::Draft, CampaignState::Scheduled] {
        assert!(changed(&record(state), &steps).is_ok());
    }
    for state in [
        CampaignState::Cancelling,
        CampaignState::Cancelled,
        CampaignState::Succeeded,
        CampaignState::Failed,
    ] {
        assert_eq!(changed(&record(state), &name), Err(NotChanged::Ended(state)));
    }
    let nameless = Change {
        display_name: Some(String::new()),
        ..Change::default()
    };
    assert!(matches!(
        changed(&record(CampaignState::Running), &nameless),
        Err(NotChanged::Mistake(_))
    ));
}

#[test]
fn more_time_counts_from_the_start_and_wakes_everybody() {
    let longer = Change {
        send_within_ms: Some(2 * 86_400_000),
        ..Change::default()
    };
    let next = changed(&record(CampaignState::Running), &longer).unwrap();
    assert_eq!(next.send_until_ms, 1_000 + 2 * 86_400_000);
    assert_eq!(next.campaign.unwrap().epoch, 4);
    let draft = changed(&record(CampaignState::Draft), &longer).unwrap();
    assert_eq!(draft.campaign.unwrap().epoch, 3);
    let same = Change {
        send_within_ms: Some(86_400_000),
        ..Change::default()
    };
    let next = changed(&record(CampaignState::Running), &same).unwrap();
    assert_eq!(next.campaign.unwrap().epoch, 3, "the default, said");
}

#[test]
fn a_record_knows_its_newest_commands() {
    let mut record = record(CampaignState::Draft);
    for number in 0..40_u8 {
        record = noted(record, &Bytes::from(vec![number]));
    }
    assert_eq!(record.applied.len(), MAX_APPLIED);
    assert!(is_applied(&record, &Bytes::from_static(&[39])) && !is_applied(&record, &Bytes::from_static(&[0])));
}

#[test]
fn success_is_what_the_account_tells() {
    use ReceiptState::{Accepted, Delivered, Failed, Read, Sent, Unspecified};
    let of = |wanted: ReceiptState, receipts: &[ReceiptState]| {
        let step = CampaignStep {
            success: wanted.into(),
            ..CampaignStep::default()
        };
        success(&step, receipts)
    };
    assert_eq!(of(Unspecified, &[Sent, Delivered, Failed]), Some(Delivered));
    assert_eq!(of(Unspecified, &[Read]), Some(Delivered), "who has read it has it");
    assert_eq!(of(Unspecified, &[Failed]), Some(Accepted), "nothing tells of success");
    assert_eq!(of(Unspecified, &[]), Some(Accepted));
    assert_eq!(of(Accepted, &[]), Some(Accepted));
    assert_eq!(of(Sent, &[Delivered]), Some(Sent));
    assert_eq!(of(Delivered, &[Sent, Failed]), None);
    assert_eq!(of(Read, &[Delivered]), None);
    assert_eq!(
        further(DeliveryState::Delivered, DeliveryState::Failed),
        DeliveryState::Delivered
    );
}

#[test]
fn what_is_output_only_is_not_defined_by_anybody() {
    let given = Campaign {
        campaign_id: "cmp_x".to_owned(),
        tenant_id: "u".to_owned(),
        state: CampaignState::Running.into(),
        pause_reason: 1,
        problem: "x".to_owned(),
        epoch: 9,
        created_at: Some(Moment(1).to_timestamp()),
        started_at: Some(Moment(1).to_timestamp()),
        ended_at: Some(Moment(1).to_timestamp()),
        etag: "x".to_owned(),
        excluded_audience_ids: vec!["a".to_owned(), "b".to_owned(), "a".to_owned()],
        ..definition()
    };
    let kept = Campaign {
        excluded_audience_ids: vec!["a".to_owned(), "b".to_owned()],
        ..definition()
    };
    assert_eq!(defined(given), kept);
}
