//! Stories of how others got wrong who is who, each as a test. Where they were told: the issue of the product that is named.

use crate::link::{arrival, message, named, told};
use crate::{World, now};
use omnigate_core::id::{Birth, CustomerId};
use omnigate_core::identity::Named;
use omnigate_core::identity::merge::{Rule, Word};
use omnigate_core::identity::split::What;
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::identity::{
    Command, Merged, NotDone, Outcome, Person, check, conflicts, conflicts_of, erase, events, keep_apart, link, merge,
    split,
};
use omnigate_core::protocol::read::{self, Whole};
use omnigate_core::protocol::resolve::Asking;
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::HomeRecord;
use omnigate_proto::v1::{Evidence, IdentityEventKind};

pub(crate) fn asking() -> Asking<'static> {
    Asking {
        tenant_id: "t",
        received_at: Moment(i64::MAX),
        trace_id: "trace",
        replaces: None,
    }
}

fn whole(world: &World, identifier: &str) -> Whole {
    now(read::resolve(&world.context(), "t", &named(identifier)))
        .unwrap()
        .unwrap()
}

pub(crate) fn by_id(world: &World, id: CustomerId) -> Whole {
    now(read::customer(&world.context(), "t", id)).unwrap().unwrap()
}

pub(crate) fn merged(world: &World, one: CustomerId, other: CustomerId) -> Merged {
    let people = [Person::Customer(one), Person::Customer(other)];
    let both = [&people[0], &people[1]];
    now(merge(&world.context(), &asking(), both, Word::Person, &mut Vec::new())).unwrap()
}

/// Two who wrote by these identifiers, the first one first.
pub(crate) fn two(world: &World, one: &str, other: &str) -> [CustomerId; 2] {
    told(world, message("a", one, &[], one));
    world.pass(10);
    told(world, message("b", other, &[], other));
    [whole(world, one).id, whole(world, other).id]
}

/// Undoes the merge that brought `younger` to `older`.
pub(crate) fn undo_last_merge(world: &World, older: CustomerId, younger: CustomerId) {
    let mut steps = by_id(world, older).merges().collect::<Vec<_>>().into_iter();
    let step = steps.find(|step| step.loser == younger.to_bytes()).unwrap();
    let command = Command {
        name: "undo".into(),
        tenant_id: "t".into(),
        gets: younger,
        what: What::Merge { step, only: None },
        birth: Birth(younger.0),
        trace_id: String::new(),
    };
    let outcome = now(split(&world.context(), &command, younger, &mut Vec::new())).unwrap();
    assert_eq!(outcome, Outcome::Done);
}

/// Chatwoot 4728: people with different ids were fused through one browser.
#[test]
fn people_who_share_a_device_are_not_fused() {
    let world = World::new(false);
    told(&world, message("site", "web_visitor/site/9", &["crm/erp/1"], "1"));
    told(&world, message("mail", "email//b@b.vn", &["crm/erp/2"], "1"));
    told(&world, message("site", "web_visitor/site/9", &["crm/erp/2"], "2"));
    let (one, other) = (whole(&world, "crm/erp/1"), whole(&world, "crm/erp/2"));
    assert_ne!(one.id, other.id);
    let found = now(conflicts(&world.context(), "t", None, 10)).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].2.rules, [Rule::Authoritative.name()]);
    let of = |id| now(conflicts_of(&world.context(), "t", id, 10)).unwrap();
    assert_eq!(of(one.id.min(other.id)), found);
    assert_eq!(of(one.id.max(other.id)), []);
    // However often they meet at the device: the records do not grow by it.
    let verdicts = || -> usize {
        let both = [one.id, other.id].map(|id| by_id(&world, id).record.verdicts.len());
        both.iter().sum()
    };
    let before = verdicts();
    for number in 3..8 {
        world.pass(61_000);
        let again = message("site", "web_visitor/site/9", &["crm/erp/2"], &number.to_string());
        told(&world, again);
    }
    assert_eq!(verdicts(), before);
}

/// Chatwoot 15359: after a merge the answer went to another number.
#[test]
fn a_merge_never_changes_where_a_reply_goes() {
    for loses in [false, true] {
        let world = World::new(loses);
        let ids = two(&world, "phone//+84900000001", "zalo_uid/oa/7");
        let lines = |whole: &Whole| -> Vec<_> {
            let threads = whole.to_customer().threads.into_iter();
            threads
                .map(|thread| (thread.thread_id, thread.account_id, thread.peer))
                .collect()
        };
        let mut before: Vec<_> = ids.iter().flat_map(|id| lines(&by_id(&world, *id))).collect();
        assert_eq!(merged(&world, ids[1], ids[0]), Merged::One(ids[0]));
        let mut after = lines(&by_id(&world, ids[1]));
        before.sort_by(|one, other| one.0.cmp(&other.0));
        after.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(before, after);
    }
}

/// Segment: an identifier beyond a cap is demoted; the message is nobody else's for it.
#[test]
fn a_number_too_many_is_nobody_s_and_the_message_stays_where_it_belongs() {
    for loses in [false, true] {
        let world = World::new(loses);
        let numbers: Vec<String> = (1..=4).map(|number| format!("phone//+8490000000{number}")).collect();
        for (id, number) in numbers.iter().enumerate() {
            let event = message("shop", "zalo_uid/oa/7", &[number], &id.to_string());
            told(&world, event);
        }
        let customer = whole(&world, "zalo_uid/oa/7");
        assert_eq!(customer.to_customer().entry_count, 4);
        for number in &numbers[..3] {
            assert_eq!(whole(&world, number).id, customer.id);
        }
        let fourth = now(read::resolve(&world.context(), "t", &named(&numbers[3]))).unwrap();
        assert!(fourth.is_none());
        assert!(customer.record.rejected.is_empty());
        // Who writes from it is somebody.
        told(&world, message("sms", &numbers[3], &[], "9"));
        assert_ne!(whole(&world, &numbers[3]).id, customer.id);
    }
}

/// Chatwoot 2486: merging a contact with itself deleted it.
#[test]
fn a_customer_merged_with_itself_stays_as_it_is() {
    let world = World::new(false);
    told(&world, message("sms", "phone//+84900000001", &[], "1"));
    let before = whole(&world, "phone//+84900000001");
    assert_eq!(merged(&world, before.id, before.id), Merged::One(before.id));
    assert_eq!(by_id(&world, before.id).record, before.record);
}

/// Chatwoot 5115: the direction depended on the screen, and the record that a CRM pointed at was lost.
#[test]
fn the_older_one_survives_and_both_ids_lead_to_it() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [older, younger] = two(&world, "phone//+84900000001", "email//a@b.vn");
        assert_eq!(merged(&world, younger, older), Merged::One(older));
        assert_eq!(by_id(&world, younger).id, older);
        assert_eq!(merged(&world, older, younger), Merged::One(older), "again");
    }
}

/// Chatwoot 1937: contacts of two accounts were merged by their e-mail address.
#[test]
fn tenants_know_nothing_of_each_other() {
    let world = World::new(false);
    told(&world, message("mail", "email//a@b.vn", &[], "1"));
    let mut foreign = message("mail", "email//a@b.vn", &[], "1");
    foreign.tenant_id = "other".into();
    now(apply(&world.context(), &[arrival(foreign)])).unwrap();
    let ours = whole(&world, "email//a@b.vn").id;
    let theirs = now(read::resolve(&world.context(), "other", &named("email//a@b.vn")))
        .unwrap()
        .unwrap()
        .id;
    assert_ne!(ours, theirs);
    assert!(now(read::customer(&world.context(), "t", theirs)).unwrap().is_none());
    let [rules] = now(check(&world.context(), (ours, theirs), [Word::Person])).unwrap();
    assert!(rules.contains(&Rule::Tenant), "{rules:?}");
}

/// Chatwoot 2137: a message from a number that an agent had typed in was refused, and lost.
#[test]
fn who_writes_from_a_number_that_was_typed_in_is_the_customer_it_was_typed_for() {
    for loses in [false, true] {
        let world = World::new(loses);
        told(&world, message("bot", "tg_chat/bot/1", &[], "1"));
        let customer = whole(&world, "tg_chat/bot/1").id;
        let typed = Named {
            identifier: named("phone//+84900000001"),
            evidence: Evidence::Verified,
            provider_form: String::new(),
        };
        let linked = now(link(&world.context(), &asking(), customer, &typed, &mut Vec::new())).unwrap();
        assert_eq!(linked, customer);
        told(&world, message("sms", "phone//+84900000001", &[], "1"));
        assert_eq!(whole(&world, "phone//+84900000001").id, customer);
        assert_eq!(by_id(&world, customer).to_customer().entry_count, 2);
    }
}

/// Chatwoot 11139: an agent changed a number, and the old one still led elsewhere.
#[test]
fn a_number_that_was_taken_away_leads_to_whom_it_was_given() {
    for loses in [false, true] {
        let world = World::new(loses);
        told(&world, message("sms", "phone//+84900000001", &["email//a@b.vn"], "1"));
        let customer = whole(&world, "email//a@b.vn");
        let lead = named("phone//+84900000001");
        let birth = customer
            .record
            .members
            .iter()
            .find(|member| member.identifier.as_ref() == Some(&lead));
        let command = Command {
            name: "take".into(),
            tenant_id: "t".into(),
            gets: CustomerId::new(Moment(1_800_000_000_500), customer.id.shard(), [9; 16]),
            what: What::Unlink(vec![lead]),
            birth: Birth::from_bytes(&birth.unwrap().birth).unwrap(),
            trace_id: String::new(),
        };
        for _ in 0..2 {
            let outcome = now(split(&world.context(), &command, customer.id, &mut Vec::new())).unwrap();
            assert_eq!(outcome, Outcome::Done);
        }
        told(&world, message("sms", "phone//+84900000001", &[], "2"));
        assert_eq!(whole(&world, "phone//+84900000001").id, command.gets);
        assert_eq!(
            by_id(&world, command.gets).to_customer().entry_count,
            2,
            "what came by it went with it"
        );
        // The same weak hint does not bring them together again.
        told(&world, message("sms", "phone//+84900000001", &["email//a@b.vn"], "3"));
        assert_ne!(
            whole(&world, "phone//+84900000001").id,
            whole(&world, "email//a@b.vn").id
        );
    }
}

/// Chatwoot made people double for Brazil's ninth digit, Mexico's 1 and Argentina's 9, and then turned landlines into mobiles.
#[test]
fn a_number_in_another_national_form_is_the_same_person_and_a_landline_is_not() {
    for loses in [false, true] {
        let world = World::new(loses);
        told(&world, message("sms", "phone//+551187654321", &[], "1"));
        told(&world, message("sms", "phone//+5511987654321", &[], "2"));
        let one = whole(&world, "phone//+551187654321");
        assert_eq!(one.id, whole(&world, "phone//+5511987654321").id);
        let peers = one
            .to_customer()
            .threads
            .into_iter()
            .map(|thread| thread.peer.unwrap().value);
        let peers: Vec<String> = peers.collect();
        assert_eq!(
            peers,
            ["+551187654321", "+5511987654321"],
            "each is answered where it wrote from"
        );
        told(&world, message("sms", "phone//+551133334444", &[], "1"));
        told(&world, message("sms", "phone//+5511933334444", &[], "1"));
        assert_ne!(
            whole(&world, "phone//+551133334444").id,
            whole(&world, "phone//+5511933334444").id
        );
    }
}

/// A value that strangers share brings many together within minutes: after three a person has to look.
#[test]
fn a_burst_of_merges_stops_until_somebody_has_looked() {
    let world = World::new(false);
    told(&world, message("sms", "phone//+84900000001", &[], "0"));
    let shared = ["phone//+84900000001"];
    let zalo = |number: usize| format!("zalo_uid/oa-{number}/1");
    for number in 1..=5 {
        world.pass(10);
        told(&world, message("oa", &zalo(number), &[], &format!("{number}")));
        world.pass(10);
        told(
            &world,
            message("oa", &zalo(number), &shared, &format!("{number} again")),
        );
    }
    let owner = whole(&world, shared[0]).id;
    let joined: Vec<bool> = (1..=5).map(|number| whole(&world, &zalo(number)).id == owner).collect();
    assert_eq!(joined, [true, true, true, false, false]);
    let found = now(conflicts(&world.context(), "t", None, 10)).unwrap();
    assert!(found.iter().all(|(_, _, record)| record.rules == ["BURST"]) && found.len() == 2);
    world.pass(11 * 60_000);
    told(&world, message("oa", &zalo(4), &shared, "later"));
    assert_eq!(whole(&world, &zalo(4)).id, owner);
}

/// Segment and Unomi limit of how many profiles one may consist: beyond it nothing is lost, the graph stops growing.
#[test]
fn a_customer_consists_of_a_hundred_at_most() {
    let world = World::new(false);
    told(&world, message("oa", "zalo_uid/oa-0/1", &[], "0"));
    let owner = whole(&world, "zalo_uid/oa-0/1").id;
    for number in 1..100 {
        world.pass(1);
        let peer = format!("zalo_uid/oa-{number}/1");
        told(&world, message("oa", &peer, &[], &peer));
        assert_eq!(
            merged(&world, owner, whole(&world, &peer).id),
            Merged::One(owner),
            "{number}"
        );
    }
    world.pass(1);
    told(&world, message("oa", "zalo_uid/oa-100/1", &[], "100"));
    let Merged::Apart { forbidden_by, .. } = merged(&world, owner, whole(&world, "zalo_uid/oa-100/1").id) else {
        panic!("a hundred and first was merged");
    };
    assert_eq!(forbidden_by, ["BUDGET"]);
    let entries = by_id(&world, owner).to_customer().entry_count;
    assert_eq!(entries, 199, "a hundred messages and the merges");
}

#[test]
fn two_whom_a_person_keeps_apart_stay_apart_until_a_person_says_otherwise() {
    for loses in [false, true] {
        let world = World::new(loses);
        let pair = two(&world, "phone//+84900000001", "zalo_uid/oa/7");
        for _ in 0..2 {
            now(keep_apart(&world.context(), "t", "command", pair, "trace")).unwrap();
        }
        told(&world, message("oa", "zalo_uid/oa/7", &["phone//+84900000001"], "2"));
        assert_ne!(
            whole(&world, "phone//+84900000001").id,
            whole(&world, "zalo_uid/oa/7").id
        );
        let open = now(conflicts(&world.context(), "t", None, 10)).unwrap();
        assert!(open.is_empty(), "what is settled is asked about again: {open:?}");
        assert_eq!(merged(&world, pair[0], pair[1]), Merged::One(pair[0]));
        let refused = now(keep_apart(&world.context(), "t", "again", pair, "trace"));
        assert!(matches!(refused, Err(NotDone::NotTwo)), "{refused:?}");
    }
}

#[test]
fn the_story_of_a_customer_says_why_it_is_one() {
    let world = World::new(false);
    let [older, younger] = two(&world, "phone//+84900000001", "zalo_uid/oa/7");
    told(&world, message("oa", "zalo_uid/oa/7", &["phone//+84900000001"], "2"));
    let one = by_id(&world, younger);
    let (told, intact) = now(events(&world.context(), &one.record.members)).unwrap();
    assert!(intact);
    let kinds = |of: CustomerId| -> Vec<IdentityEventKind> {
        let events = told.iter().filter(|event| event.customer == of);
        events.map(|event| event.event.kind()).collect()
    };
    assert_eq!(kinds(older), [IdentityEventKind::Created, IdentityEventKind::Merged]);
    assert_eq!(
        kinds(younger),
        [IdentityEventKind::Created, IdentityEventKind::MergedInto]
    );
    let merge = told
        .iter()
        .find(|event| event.event.kind() == IdentityEventKind::Merged)
        .unwrap();
    assert_eq!(
        merge.event.cause, "4bf92f3577b34da6a3ce929d0e0e4736",
        "the message that brought it up"
    );
    let bytes = format!("{told:?}");
    assert!(!bytes.contains("84900000001"), "a number stands in an identity event");
}

/// Three numbers whose customers live in one shard, so that one shard has more than a page of them.
fn in_one_shard() -> [String; 3] {
    let numbers = (0..).map(|number| format!("phone//+8490000{number:04}"));
    let shard = |number: &String| omnigate_core::identifier::key("t", &named(number)).shard();
    let first = numbers.clone().next().unwrap();
    let mut alike = numbers.filter(|number| shard(number) == shard(&first));
    [(); 3].map(|()| alike.next().unwrap())
}

#[test]
fn pages_leave_nobody_out_who_stands_behind_somebody_who_was_merged() {
    let world = World::new(false);
    let numbers = in_one_shard();
    let ids = numbers.each_ref().map(|number| {
        world.pass(10);
        told(&world, message("sms", number, &[], number));
        whole(&world, number).id
    });
    assert_eq!(merged(&world, ids[0], ids[1]), Merged::One(ids[0]));
    let mut listed = Vec::new();
    loop {
        let after = listed.last().copied();
        let page = now(read::customers(&world.context(), "t", after, 1, |_| true)).unwrap();
        let Some((customer, _)) = page.customers.first() else {
            break;
        };
        listed.push(customer.id);
    }
    assert_eq!(listed, [ids[0], ids[2]]);
}

#[test]
fn pages_leave_no_conflict_out_that_stands_behind_a_settled_one() {
    let world = World::new(false);
    told(&world, message("sms", "phone//+84900000001", &["crm/erp/1"], "1"));
    let others = ["zalo_uid/oa/2", "zalo_uid/oa/3"];
    for (number, other) in (2..).zip(others) {
        world.pass(10);
        told(&world, message("oa", other, &[&format!("crm/erp/{number}")], "1"));
        told(&world, message("oa", other, &["phone//+84900000001"], "2"));
    }
    let ids = ["phone//+84900000001", others[0], others[1]].map(|name| whole(&world, name).id);
    now(keep_apart(&world.context(), "t", "command", [ids[0], ids[1]], "trace")).unwrap();
    let found = now(conflicts(&world.context(), "t", None, 1)).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0, found[0].1), (ids[0], ids[2]));
}

#[test]
fn of_an_erased_customer_nothing_is_left_and_who_writes_again_is_somebody_new() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [older, younger] = two(&world, "phone//+84900000001", "zalo_uid/oa/7");
        assert_eq!(merged(&world, older, younger), Merged::One(older));
        for _ in 0..2 {
            assert!(now(erase(&world.context(), "t", younger)).unwrap().is_some());
        }
        for home in [older, younger] {
            assert!(now(read::customer(&world.context(), "t", home)).unwrap().is_none());
            let key = omnigate_core::keys::home(home);
            let record = now(world.context().record::<HomeRecord>(home.shard(), key, "home")).unwrap();
            let record = record.value.unwrap();
            assert_eq!((record.threads.len(), record.entry_count), (0, 0));
        }
        world.pass(10);
        let mut again = arrival(message("a", "phone//+84900000001", &[], "again"));
        again.received_at = world.context().now();
        now(apply(&world.context(), &[again])).unwrap();
        let anew = whole(&world, "phone//+84900000001");
        assert!(anew.id != older && anew.to_customer().entry_count == 1);
    }
}
