//! Audiences made, changed, listed and deleted.

use super::{audience, imported, index, list, row, rows_of, vietnamese};
use crate::now;
use omnigate_core::audience::Change;
use omnigate_core::id::AudienceId;
use omnigate_core::keys::{self, Timer};
use omnigate_core::protocol::audience::{self as protocol, NotDone, change, create, delete, get, go_on};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::AudienceRecord;

fn name(text: &'static str) -> bytes::Bytes {
    bytes::Bytes::from_static(text.as_bytes())
}

#[test]
fn an_audience_is_made_once_by_its_request() {
    for loses in [false, true] {
        let world = vietnamese(loses);
        let made = audience(&world, "a", "", &[]);
        assert_eq!(audience(&world, "a", "", &[]).id, made.id);
        let (listed, next) = now(protocol::list(&world.context(), "t", None, 10)).unwrap();
        assert_eq!((listed.len(), next), (1, None));
        // Nobody else's.
        assert!(now(get(&world.context(), "u", made.id)).unwrap().is_none());
        assert!(
            now(protocol::list(&world.context(), "u", None, 10))
                .unwrap()
                .0
                .is_empty()
        );
    }
}

#[test]
fn pages_of_audiences_hold_each_once() {
    let world = vietnamese(false);
    let mut made: Vec<AudienceId> = (0..7).map(|number| list(&world, &format!("a{number}"))).collect();
    made.sort();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = now(protocol::list(&world.context(), "t", after, 3)).unwrap();
        listed.extend(page.into_iter().map(|audience| audience.id));
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, made);
}

#[test]
fn an_exclusion_must_exist_and_keeps_its_audience() {
    let world = vietnamese(false);
    let nobody = AudienceId::new("t", "nobody");
    let record = AudienceRecord {
        tenant_id: "t".to_owned(),
        excluded: vec![nobody.to_bytes()],
        ..AudienceRecord::default()
    };
    let refused = now(create(&world.context(), AudienceId::new("t", "a"), record));
    assert!(matches!(refused, Err(NotDone::NoSuchExclusion(id)) if id == nobody));
    let out = list(&world, "out");
    let user = audience(&world, "user", "", &[out]).id;
    let refused = now(delete(&world.context(), "t", out, (&name("d"), "")));
    assert!(matches!(refused, Err(NotDone::InUse(id)) if id == user));
    let free = Change {
        name: name("c"),
        excluded: Some(Vec::new()),
        ..Change::default()
    };
    now(change(&world.context(), "t", user, (&free, ""))).unwrap();
    now(delete(&world.context(), "t", out, (&name("d"), ""))).unwrap();
}

#[test]
fn a_change_takes_effect_once_and_on_the_version_that_it_names() {
    for loses in [false, true] {
        let world = vietnamese(loses);
        let made = audience(&world, "a", "true", &[]);
        let renamed = |command, text: &str| Change {
            name: name(command),
            display_name: Some(text.to_owned()),
            ..Change::default()
        };
        let context = world.context();
        let first = now(change(&context, "t", made.id, (&renamed("1", "one"), &made.etag()))).unwrap();
        now(change(&context, "t", made.id, (&renamed("2", "two"), &first.etag()))).unwrap();
        let late = now(change(&context, "t", made.id, (&renamed("3", "three"), &made.etag())));
        assert!(matches!(late, Err(NotDone::Changed)));
        // Repeated, it brings nothing back.
        let again = now(change(&context, "t", made.id, (&renamed("1", "one"), &made.etag()))).unwrap();
        assert_eq!(
            (again.record.display_name.as_str(), again.record.filter.as_str()),
            ("two", "true")
        );
    }
}

#[test]
fn a_deletion_that_dies_anywhere_is_finished_by_its_timer() {
    for commits in 0..400 {
        let world = vietnamese(false);
        let id = list(&world, "a");
        imported(
            &world,
            id,
            "1",
            &[
                row(1, "phone:0900000001", "Secret"),
                row(2, "phone:0900000002", "Secret"),
            ],
        );
        world.store.stops_after(commits);
        let done = now(delete(&world.context(), "t", id, (&name("d"), ""))).is_ok();
        world.store.goes_on();
        let timers: Vec<(Moment, Timer)> = index(&world, &keys::timers())
            .iter()
            .filter_map(|(member, _)| keys::read_timer_member(member))
            .filter(|(_, timer)| *timer == Timer::Audience(id))
            .collect();
        if commits == 0 {
            assert!(timers.is_empty() && now(get(&world.context(), "t", id)).unwrap().is_some());
            continue;
        }
        assert!(now(get(&world.context(), "t", id)).unwrap().is_none());
        assert_eq!(timers.len(), usize::from(!done), "after {commits}");
        for (due, _) in timers {
            now(go_on(&world.context(), id, due)).unwrap();
        }
        assert_eq!(rows_of(&world, id), 0, "after {commits}");
        assert!(!crate::erasure::stands(&world, "Secret"));
        assert!(index(&world, &keys::audiences("t")).is_empty() && index(&world, &keys::timers()).is_empty());
        // Again by the same command, and the request that made it.
        now(delete(&world.context(), "t", id, (&name("d"), ""))).unwrap();
        let other = now(delete(&world.context(), "t", id, (&name("e"), "")));
        assert!(matches!(other, Err(NotDone::NoSuchAudience)));
        let again = now(create(&world.context(), id, AudienceRecord::default()));
        assert!(matches!(again, Err(NotDone::NoSuchAudience)));
        if done {
            return;
        }
    }
    panic!("400 commits were not enough");
}
