//! Commands: what is pinned, who is woken, and that each takes effect once.

use super::{Stage, order, shown, state, words};
use crate::meddled::Meddled;
use crate::now;
use omnigate_core::campaign::definition::{Change, NotChanged};
use omnigate_core::campaign::life::Refused;
use omnigate_core::id::CampaignId;
use omnigate_core::protocol::campaign::{self as protocol, NotDone, etag};
use omnigate_core::protocol::template_library as library;
use omnigate_core::shard::Shard;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::CampaignRecord;
use omnigate_proto::v1::{CampaignState, Purpose, ReceiptState};

/// What the clock says at first.
const BEGINNING: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;

fn pins(record: &CampaignRecord) -> Vec<(u32, ReceiptState)> {
    let steps = shown(record).steps.iter();
    steps.map(|step| (step.template_version, step.success())).collect()
}

const PINNED: [(u32, ReceiptState); 2] = [(1, ReceiptState::Delivered), (1, ReceiptState::Accepted)];
const FREE: [(u32, ReceiptState); 2] = [(0, ReceiptState::Unspecified); 2];

fn schedule(stage: &Stage, id: CampaignId, name: &str, at: Option<i64>) -> Result<CampaignRecord, NotDone> {
    let context = stage.world.context();
    let at = at.map(Moment);
    now(protocol::schedule(&context, id, &order(name, ""), at, &stage.known()))
}

fn update(
    stage: &Stage,
    id: CampaignId,
    (name, etag): (&str, &str),
    change: &Change,
) -> Result<CampaignRecord, NotDone> {
    let context = stage.world.context();
    now(protocol::update(
        &context,
        id,
        &order(name, etag),
        change,
        &stage.known(),
    ))
}

fn newer_words(stage: &Stage) {
    let second = words(&stage.world, 7, &["sms", "zalo"], Purpose::Service);
    now(library::update(&stage.world.context(), stage.template, 1, &second)).unwrap();
}

#[test]
fn a_start_pins_what_is_sent_and_every_shard_knows() {
    for loses in [false, true] {
        let stage = Stage::new(loses);
        let id = stage.made("r");
        let started = stage.start(id, "s").unwrap();
        assert_eq!((state(&started), shown(&started).epoch), (CampaignState::Planning, 2));
        assert_eq!(pins(&started), PINNED);
        newer_words(&stage);
        assert_eq!(pins(&stage.start(id, "s").unwrap()), PINNED, "asked for again");
        for shard in Shard::all() {
            let control = stage.control(shard, id).unwrap();
            assert_eq!((control.state(), control.epoch), (CampaignState::Planning, 2));
        }
        assert_eq!(stage.timers(id), [BEGINNING], "somebody plans it at once");
    }
}

#[test]
fn a_schedule_pins_wakes_in_time_and_can_be_taken_back() {
    for loses in [false, true] {
        let stage = Stage::new(loses);
        let id = stage.made("r");
        let at = BEGINNING + HOUR;
        let none = schedule(&stage, id, "0", None);
        assert!(matches!(none, Err(NotDone::Refused(Refused::NoTime))), "{none:?}");
        let past = schedule(&stage, id, "1", Some(BEGINNING));
        assert!(
            matches!(past, Err(NotDone::Definition(NotChanged::Mistake(_)))),
            "{past:?}"
        );
        let scheduled = schedule(&stage, id, "2", Some(at)).unwrap();
        assert_eq!(
            (state(&scheduled), pins(&scheduled)),
            (CampaignState::Scheduled, PINNED.to_vec())
        );
        assert_eq!(stage.timers(id), [at]);
        assert_eq!(stage.control(Shard::new(9), id), None, "no shard has recipients yet");
        let later = schedule(&stage, id, "3", Some(at + HOUR)).unwrap();
        assert_eq!(shown(&later).epoch, shown(&scheduled).epoch, "its state is the same");
        assert_eq!(stage.timers(id), [at, at + HOUR]);
        newer_words(&stage);
        let free = now(protocol::unschedule(&stage.world.context(), id, &order("4", ""))).unwrap();
        assert_eq!((state(&free), pins(&free)), (CampaignState::Draft, FREE.to_vec()));
        let again = schedule(&stage, id, "5", None).unwrap();
        assert_eq!(pins(&again)[0].0, 2, "the newest words when it was scheduled");
        let started = stage.start(id, "6").unwrap();
        assert_eq!(pins(&started)[0].0, 2);
        assert!(started.unpinned.is_empty());
    }
}

#[test]
fn an_account_that_says_nothing_or_too_little_starts_nothing() {
    let stage = Stage::new(false);
    let id = stage.made("r");
    let context = stage.world.context();
    let mut known = stage.known();
    known.receipts.remove("oa");
    let silent = now(protocol::start(&context, id, &order("1", ""), &known));
    assert!(matches!(silent, Err(NotDone::Silent(0, _))), "{silent:?}");
    let mut wants = stage.definition();
    wants.steps[1].success = ReceiptState::Delivered.into();
    let id: CampaignId = shown(&stage.create("q", &wants).unwrap()).campaign_id.parse().unwrap();
    let never = stage.start(id, "2");
    assert!(matches!(never, Err(NotDone::NeverHeard(1, _))), "{never:?}");
    // Who said what success is needs nobody's answer.
    known.receipts.clear();
    for step in &mut wants.steps {
        step.success = ReceiptState::Accepted.into();
    }
    let id: CampaignId = shown(&stage.create("p", &wants).unwrap()).campaign_id.parse().unwrap();
    now(protocol::start(&context, id, &order("3", ""), &known)).unwrap();
}

#[test]
fn what_changed_while_it_was_looked_at_is_not_started() {
    let stage = Stage::new(false);
    let id = stage.made("r");
    let change = Change {
        steps: Some(vec![stage.step("brand")]),
        ..Change::default()
    };
    let meddle = || drop(update(&stage, id, ("other", ""), &change).unwrap());
    let mut changed = 0;
    for at in 1..20 {
        let meddled = Meddled::new(&stage.world, at, &meddle);
        let started = now(protocol::start(&meddled.context(), id, &order("s", ""), &stage.known()));
        match started {
            Err(NotDone::Changed) => changed += 1,
            Ok(record) => {
                assert_eq!(shown(&record).steps.len(), 1, "what was started is what stands");
                break;
            }
            Err(refused) => panic!("{refused}"),
        }
    }
    assert!(changed > 0, "nobody came in between");
}

#[test]
fn a_command_takes_effect_once_whatever_came_after_it() {
    for loses in [false, true] {
        let stage = Stage::new(loses);
        let id = stage.made("r");
        let context = stage.world.context();
        stage.start(id, "s").unwrap();
        now(protocol::pause(&context, id, &order("p", ""))).unwrap();
        now(protocol::resume(&context, id, &order("q", ""))).unwrap();
        let again = now(protocol::pause(&context, id, &order("p", ""))).unwrap();
        assert_eq!(state(&again), CampaignState::Planning, "it was done before");
        let other = now(protocol::pause(&context, id, &order("p2", ""))).unwrap();
        assert_eq!(state(&other), CampaignState::Paused);
        for shard in Shard::all() {
            assert_eq!(stage.control(shard, id).unwrap().state(), CampaignState::Paused);
        }
        let refused = stage.start(id, "s2");
        assert!(matches!(refused, Err(NotDone::Refused(Refused::Impossible { .. }))));
        let cancelled = now(protocol::cancel(&context, id, &order("c", ""))).unwrap();
        assert_eq!(state(&cancelled), CampaignState::Cancelling);
    }
}

#[test]
fn a_command_that_was_cut_short_is_finished_when_it_comes_again() {
    let stage = Stage::new(false);
    let id = stage.made("r");
    stage.start(id, "s").unwrap();
    let before = stage.timers(id).len();
    stage.world.pass(1_000);
    stage.world.store.stops_after(40);
    let cut = now(protocol::pause(&stage.world.context(), id, &order("p", "")));
    assert!(matches!(cut, Err(NotDone::Stop(_))));
    stage.world.store.goes_on();
    assert_eq!(stage.timers(id).len(), before + 1, "the scheduler would finish it, too");
    let paused = now(protocol::pause(&stage.world.context(), id, &order("p", ""))).unwrap();
    assert_eq!(state(&paused), CampaignState::Paused);
    for shard in Shard::all() {
        assert_eq!(stage.control(shard, id).unwrap().state(), CampaignState::Paused);
    }
}

#[test]
fn an_etag_names_how_a_campaign_stands() {
    let stage = Stage::new(false);
    let id = stage.made("r");
    let before = etag(shown(&stage.stands(id)));
    let name = |text: &str| Change {
        display_name: Some(text.to_owned()),
        ..Change::default()
    };
    let changed = update(&stage, id, ("1", &before), &name("one")).unwrap();
    assert_ne!(etag(shown(&changed)), before);
    let late = update(&stage, id, ("2", &before), &name("two"));
    assert!(matches!(late, Err(NotDone::Changed)), "{late:?}");
    let again = update(&stage, id, ("1", &before), &name("one")).unwrap();
    assert_eq!(again, changed, "the same command once more");
    let stale = now(protocol::cancel(&stage.world.context(), id, &order("3", &before)));
    assert!(matches!(stale, Err(NotDone::Changed)));
    let fresh = etag(shown(&changed));
    now(protocol::cancel(&stage.world.context(), id, &order("4", &fresh))).unwrap();
}

#[test]
fn what_is_scheduled_is_pinned_anew_when_it_changes() {
    for loses in [false, true] {
        let stage = Stage::new(loses);
        let id = stage.made("r");
        schedule(&stage, id, "1", Some(BEGINNING + HOUR)).unwrap();
        newer_words(&stage);
        let steps = Change {
            steps: Some(vec![stage.step("brand")]),
            ..Change::default()
        };
        let changed = update(&stage, id, ("2", ""), &steps).unwrap();
        assert_eq!(pins(&changed), [(2, ReceiptState::Accepted)]);
        let free = now(protocol::unschedule(&stage.world.context(), id, &order("3", ""))).unwrap();
        assert_eq!(pins(&free), [(0, ReceiptState::Unspecified)]);
        let gone = Change {
            audience_id: Some(omnigate_core::id::AudienceId::new("t", "gone").to_string()),
            ..Change::default()
        };
        let refused = update(&stage, id, ("4", ""), &gone);
        assert!(matches!(refused, Err(NotDone::NoSuchAudience("audience_id", _))));
        let past = Change {
            start_at: Some(Moment(BEGINNING - 1)),
            ..Change::default()
        };
        let refused = update(&stage, id, ("5", ""), &past);
        assert!(matches!(refused, Err(NotDone::Definition(NotChanged::Mistake(_)))));
    }
}

#[test]
fn more_time_reaches_every_shard() {
    let stage = Stage::new(false);
    let id = stage.made("r");
    let started = stage.start(id, "s").unwrap();
    assert_eq!(started.send_until_ms, BEGINNING + 24 * HOUR);
    let longer = Change {
        send_within_ms: Some(u64::try_from(48 * HOUR).unwrap()),
        ..Change::default()
    };
    let changed = update(&stage, id, ("1", ""), &longer).unwrap();
    assert_eq!(changed.send_until_ms, BEGINNING + 48 * HOUR);
    for shard in Shard::all() {
        assert_eq!(stage.control(shard, id).unwrap().epoch, shown(&changed).epoch);
    }
    let fixed = Change {
        steps: Some(vec![stage.step("brand")]),
        ..Change::default()
    };
    let refused = update(&stage, id, ("2", ""), &fixed);
    assert!(matches!(refused, Err(NotDone::Definition(NotChanged::Fixed("steps")))));
}
