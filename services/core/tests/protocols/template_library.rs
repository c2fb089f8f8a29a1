//! Templates of ours: made once whatever answers get lost, versions that never change, lists.

use crate::meddled::Meddled;
use crate::{World, now};
use bytes::Bytes;
use omnigate_core::id::TemplateId;
use omnigate_core::protocol::template_library::{
    Made, NotMade, Page, Version, archive, create, page, read_etag, update, version,
};
use omnigate_proto::v1::TemplateDefinition;

fn made(world: &World, command: u8, name: &str) -> Made {
    Made {
        tenant_id: "t".to_owned(),
        command: Bytes::from(vec![command; 16]),
        at: world.context().now(),
        definition: TemplateDefinition {
            display_name: name.to_owned(),
            ..TemplateDefinition::default()
        },
    }
}

fn id(world: &World, made: &Made) -> TemplateId {
    let random = <[u8; 16]>::try_from(made.command.as_ref()).unwrap();
    TemplateId::new("t", world.context().now(), random)
}

fn name(version: &Version) -> &str {
    &version.version.definition.as_ref().unwrap().display_name
}

fn names(page: &Page) -> Vec<&str> {
    page.templates.iter().map(name).collect()
}

#[test]
fn a_version_is_made_once_and_stays_as_it_is() {
    for loses in [false, true] {
        let world = World::new(loses);
        let context = world.context();
        let first = made(&world, 1, "one");
        let id = id(&world, &first);
        let one = now(create(&context, id, &first)).unwrap();
        world.pass(1000);
        assert_eq!(now(create(&context, id, &first)).unwrap(), one, "asked for again");
        let second = made(&world, 2, "two");
        let two = now(update(&context, id, 1, &second)).unwrap();
        assert_eq!((two.number, name(&two), two.template.newest), (2, "two", 2));
        assert_eq!(now(update(&context, id, 1, &second)).unwrap(), two, "asked for again");
        let third = made(&world, 3, "three");
        assert!(matches!(now(update(&context, id, 1, &third)), Err(NotMade::Changed)));
        assert!(matches!(now(update(&context, id, 5, &third)), Err(NotMade::Changed)));
        now(update(&context, id, 2, &third)).unwrap();
        let of = |number| now(version(&context, "t", id, number)).unwrap();
        assert_eq!(of(1).unwrap().version, one.version);
        assert_eq!(of(2).unwrap().version, two.version);
        assert_eq!((of(0).unwrap().number, of(4), of(9_999)), (3, None, None));
        assert_eq!(
            now(update(&context, id, 1, &second)).unwrap().version,
            two.version,
            "also later"
        );
    }
}

#[test]
fn nobody_sees_or_changes_what_is_another_tenants() {
    let world = World::new(false);
    let context = world.context();
    let first = made(&world, 1, "one");
    let id = id(&world, &first);
    now(create(&context, id, &first)).unwrap();
    let theirs = Made {
        tenant_id: "other".to_owned(),
        ..made(&world, 2, "two")
    };
    assert_eq!(now(version(&context, "other", id, 0)).unwrap(), None);
    assert!(matches!(
        now(update(&context, id, 1, &theirs)),
        Err(NotMade::NoSuchTemplate)
    ));
    assert!(matches!(
        now(archive(&context, "other", id, None)),
        Err(NotMade::NoSuchTemplate)
    ));
    assert!(matches!(now(create(&context, id, &theirs)), Err(NotMade::Changed)));
    assert_eq!(now(page(&context, "other", None, 10, true)).unwrap(), Page::default());
}

#[test]
fn what_is_archived_stays_readable_and_gets_no_versions() {
    for loses in [false, true] {
        let world = World::new(loses);
        let context = world.context();
        let first = made(&world, 1, "one");
        let id = id(&world, &first);
        now(create(&context, id, &first)).unwrap();
        let second = made(&world, 2, "two");
        let two = now(update(&context, id, 1, &second)).unwrap();
        assert!(matches!(
            now(archive(&context, "t", id, Some(1))),
            Err(NotMade::Changed)
        ));
        let archived = now(archive(&context, "t", id, Some(2))).unwrap();
        assert!(archived.is_archived() && archived.version == two.version);
        world.pass(1000);
        assert_eq!(now(archive(&context, "t", id, None)).unwrap(), archived, "once");
        assert!(matches!(
            now(update(&context, id, 2, &made(&world, 3, "three"))),
            Err(NotMade::Archived)
        ));
        let again = now(update(&context, id, 1, &second)).unwrap();
        assert_eq!(again.version, two.version, "what was done before is still answered");
        assert_eq!(
            now(version(&context, "t", id, 1)).unwrap().map(|one| one.number),
            Some(1)
        );
    }
}

#[test]
fn lists_are_in_the_order_of_making_and_leave_out_what_is_archived() {
    let world = World::new(false);
    let context = world.context();
    let mut ids = Vec::new();
    for number in 1..=5 {
        let made = made(&world, number, &format!("template {number}"));
        ids.push(id(&world, &made));
        now(create(&context, ids[ids.len() - 1], &made)).unwrap();
        world.pass(10);
    }
    now(update(&context, ids[0], 1, &made(&world, 9, "template 1 anew"))).unwrap();
    now(archive(&context, "t", ids[1], None)).unwrap();
    let listed = |after, limit, also_archived| now(page(&context, "t", after, limit, also_archived)).unwrap();
    let first = listed(None, 2, false);
    assert_eq!(names(&first), ["template 1 anew", "template 3"]);
    assert_eq!(first.next, Some(ids[2]));
    let second = listed(first.next, 2, false);
    assert_eq!(
        (names(&second), second.next),
        (vec!["template 4", "template 5"], Some(ids[4]))
    );
    assert_eq!(listed(second.next, 2, false), Page::default());
    assert_eq!(names(&listed(None, 100, true)).len(), 5);
    assert_eq!(listed(None, 100, true).next, None);
}

#[test]
fn of_two_who_change_it_at_once_one_is_told() {
    for at in 0..4 {
        let world = World::new(false);
        let first = made(&world, 1, "one");
        let id = id(&world, &first);
        now(create(&world.context(), id, &first)).unwrap();
        let theirs = made(&world, 2, "theirs");
        let meddle = || drop(now(update(&world.context(), id, 1, &theirs)).unwrap());
        let meddled = Meddled::new(&world, at, &meddle);
        let mine = now(update(&meddled.context(), id, 1, &made(&world, 3, "mine")));
        let newest = now(version(&world.context(), "t", id, 0)).unwrap().unwrap();
        match mine {
            Ok(mine) => assert!(at > 1 && newest.version == mine.version, "{at}"),
            Err(refused) => assert!(at <= 1 && matches!(refused, NotMade::Changed) && name(&newest) == "theirs"),
        }
    }
}

#[test]
fn a_process_that_is_killed_leaves_all_or_nothing() {
    for killed_after in 0..3 {
        let world = World::new(false);
        let first = made(&world, 1, "one");
        let id = id(&world, &first);
        world.store.stops_after(killed_after);
        let tried = now(async {
            create(&world.context(), id, &first).await?;
            update(&world.context(), id, 1, &made(&world, 2, "two")).await?;
            archive(&world.context(), "t", id, None).await
        });
        assert!(tried.is_err());
        world.store.goes_on();
        let listed = now(page(&world.context(), "t", None, 10, true)).unwrap();
        let found = now(version(&world.context(), "t", id, 0)).unwrap();
        assert_eq!(listed.templates.first(), found.as_ref());
        assert_eq!(
            found.map_or(0, |found| found.number),
            u32::try_from(killed_after).unwrap()
        );
        now(create(&world.context(), id, &first)).unwrap();
        let two = now(update(&world.context(), id, 1, &made(&world, 2, "two"))).unwrap();
        assert_eq!(two.number, 2);
    }
}

#[test]
fn etags_lead_back() {
    assert_eq!((read_etag("v3"), read_etag("v4294967295")), (Some(3), Some(u32::MAX)));
    for strange in ["", "3", "v", "v03", "v-1", "v+3", "v4294967296", "V3", "v3 "] {
        assert_eq!(read_etag(strange), None, "{strange}");
    }
}
