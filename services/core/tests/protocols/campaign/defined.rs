//! Campaigns made and listed, and what they must refer to.

use super::{Stage, account, list, order, shown, template};
use crate::now;
use omnigate_core::id::{AudienceId, CampaignId, TemplateId};
use omnigate_core::protocol::campaign::{self as protocol, NotDone};
use omnigate_core::protocol::template_library as library;
use omnigate_core::time::Moment;
use omnigate_proto::v1::{Campaign, CampaignState, Purpose};

#[test]
fn a_campaign_is_made_once_by_its_request() {
    for loses in [false, true] {
        let stage = Stage::new(loses);
        let definition = stage.definition();
        let made = stage.create("r", &definition).unwrap();
        let campaign = shown(&made);
        assert_eq!((campaign.state(), campaign.epoch), (CampaignState::Draft, 1));
        assert_eq!(campaign.steps, definition.steps, "nothing is pinned yet");
        assert_eq!((campaign.tenant_id.as_str(), made.environment.as_str()), ("t", "here"));
        assert_eq!(stage.create("r", &definition).unwrap(), made, "asked for again");
        let other = Campaign {
            weight: 3,
            ..definition
        };
        assert!(matches!(stage.create("r", &other), Err(NotDone::RequestIdReused)));
        let id = campaign.campaign_id.parse().unwrap();
        assert_eq!(stage.timers(id), [0; 0], "a draft does nothing by itself");
    }
}

fn listed(stage: &Stage, tenant_id: &str, limit: usize, states: &[CampaignState]) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let context = stage.world.context();
        let page = now(protocol::list(&context, tenant_id, after, limit, states)).unwrap();
        assert!(page.campaigns.len() <= limit);
        found.extend(page.campaigns.iter().map(|one| shown(one).campaign_id.clone()));
        after = page.next;
        if after.is_none() {
            return found;
        }
    }
}

#[test]
fn campaigns_are_listed_newest_first_each_once() {
    let stage = Stage::new(false);
    // Made one after the other: the time follows the length of the request id.
    let names: Vec<String> = (1..=120).map(|length| "r".repeat(length)).collect();
    let mut made: Vec<String> = names.iter().map(|name| stage.made(name).to_string()).collect();
    made.reverse();
    for limit in [1_000, 7, 50, 1] {
        assert_eq!(listed(&stage, "t", limit, &[]), made, "pages of {limit}");
    }
    assert_eq!(listed(&stage, "u", 10, &[]), [""; 0]);
    let started = stage.made("rrr");
    stage.start(started, "s").unwrap();
    assert_eq!(
        listed(&stage, "t", 10, &[CampaignState::Planning]),
        [started.to_string()]
    );
    let drafts = listed(&stage, "t", 10, &[CampaignState::Draft, CampaignState::Failed]);
    assert_eq!(drafts.len(), 119);
}

#[test]
fn one_that_was_listed_and_not_made_is_passed_over_until_it_is() {
    let stage = Stage::new(false);
    stage.world.store.stops_after(1);
    let refused = stage.create("r", &stage.definition());
    assert!(matches!(refused, Err(NotDone::Stop(_))), "{refused:?}");
    stage.world.store.goes_on();
    assert_eq!(listed(&stage, "t", 10, &[]), [""; 0]);
    let made = stage.made("r");
    assert_eq!(listed(&stage, "t", 10, &[]), [made.to_string()]);
}

fn refused(stage: &Stage, wrong: impl FnOnce(&mut Campaign)) -> String {
    let mut definition = stage.definition();
    wrong(&mut definition);
    match stage.create("r", &definition) {
        Ok(_) => "nothing".to_owned(),
        Err(refused) => refused.to_string(),
    }
}

#[test]
fn what_a_campaign_names_must_be_there_and_fit() {
    let mut stage = Stage::new(false);
    let world = &stage.world;
    let nobody = AudienceId::new("t", "nobody").to_string();
    let theirs = list(world, "u", "theirs").to_string();
    let out = list(world, "t", "out").to_string();
    let marketing = template(world, 2, &["sms", "zalo"], Purpose::Marketing).to_string();
    let only_sms = template(world, 3, &["sms"], Purpose::Service).to_string();
    let archived = template(world, 4, &["sms", "zalo"], Purpose::Service);
    now(library::archive(&world.context(), "t", archived, None)).unwrap();
    let unknown = TemplateId::new("t", Moment(5), [9; 16]).to_string();
    let is = |wrong: &dyn Fn(&mut Campaign), what: &str| {
        let said = refused(&stage, wrong);
        assert!(said.contains(what), "{said} is not {what}");
    };
    is(
        &|it| it.audience_id.clone_from(&nobody),
        "audience_id: there is no audience",
    );
    is(
        &|it| it.audience_id.clone_from(&theirs),
        "audience_id: there is no audience",
    );
    is(
        &|it| it.excluded_audience_ids = vec![out.clone(), nobody.clone()],
        "excluded_audience_ids: there is no audience",
    );
    is(
        &|it| it.steps[1].account_id = "nobody's".to_owned(),
        "steps[1].account_id: names no configured account",
    );
    is(
        &|it| it.steps[1].account_id = "other".to_owned(),
        "steps[1].account_id: names no configured account",
    );
    is(
        &|it| it.steps[0].template_id.clone_from(&unknown),
        "steps[0].template_id: there is no such template",
    );
    is(
        &|it| it.steps[0].template_version = 2,
        "steps[0].template_id: there is no such template or version",
    );
    is(
        &|it| it.steps[1].template_id = archived.to_string(),
        "steps[1].template_id: the template is archived",
    );
    is(
        &|it| it.steps[1].template_id.clone_from(&marketing),
        "steps[1].template_id: is for another purpose",
    );
    is(
        &|it| it.steps[0].template_id.clone_from(&only_sms),
        "steps[0].template_id: version 1 has no words for zalo",
    );
    is(&|it| it.weight = 101, "weight: ");
    is(&|it| it.excluded_audience_ids = vec![out.clone()], "nothing");
    // An account that is gone since is seen at the start.
    let id = stage.made("s");
    stage.directory.accounts = [account("oa", "t", "zalo")].into();
    let refused = stage.start(id, "start").unwrap_err().to_string();
    assert!(refused.contains("steps[1].account_id"), "{refused}");
}

#[test]
fn nobody_else_sees_or_moves_it() {
    let stage = Stage::new(false);
    let id = stage.made("r");
    let mut theirs = order("c", "");
    theirs.tenant_id = "u";
    let context = stage.world.context();
    let cancelled = now(protocol::cancel(&context, id, &theirs));
    assert!(matches!(cancelled, Err(NotDone::NoSuchCampaign)));
    let started = now(protocol::start(&context, id, &theirs, &stage.known()));
    assert!(matches!(started, Err(NotDone::NoSuchCampaign)));
    let retried = now(protocol::retry(&context, id, &theirs, None, false));
    assert!(matches!(retried, Err(NotDone::NoSuchCampaign)));
    let nowhere = CampaignId::new("t", "nowhere");
    let paused = now(protocol::pause(&context, nowhere, &order("c", "")));
    assert!(matches!(paused, Err(NotDone::NoSuchCampaign)));
}
