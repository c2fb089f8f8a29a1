//! Copies of providers' templates, and whose templates a message to a customer is held against.

use crate::{World, link, now};
use omnigate_core::id::CustomerId;
use omnigate_core::identifier;
use omnigate_core::protocol::append::apply;
use omnigate_core::protocol::send::{NotAccepted, Target, thread_of_customer};
use omnigate_core::protocol::templates;
use omnigate_proto::v1::{Identifier, ProviderTemplate, ProviderTemplateState};

fn template(id: &str, state: ProviderTemplateState) -> ProviderTemplate {
    ProviderTemplate {
        template_id: id.to_owned(),
        state: state.into(),
        ..ProviderTemplate::default()
    }
}

#[test]
fn what_was_looked_up_stands_beside_the_copy_until_the_next_one() {
    use ProviderTemplateState::{Approved, Pending};
    for loses in [false, true] {
        let world = World::new(loses);
        let context = world.context();
        let read = || now(templates::read(&context, "oa")).unwrap();
        now(templates::add(&context, "oa", "9", &[])).unwrap();
        assert_eq!(read(), None, "nothing was found and nothing is there");
        let early = [template("2", Approved)];
        now(templates::add(&context, "oa", "2", &early)).unwrap();
        let kept = read().unwrap();
        assert_eq!((kept.templates.as_slice(), kept.synced_at), (&early[..], None));
        let copy = vec![template("3", Pending), template("1", Approved)];
        now(templates::replace(&context, "oa", copy)).unwrap();
        let copied = read().unwrap();
        now(templates::add(&context, "oa", "3", &[template("3", Approved)])).unwrap();
        let kept = read().unwrap();
        assert_eq!(kept.templates, [template("1", Approved), template("3", Approved)]);
        assert!(kept.synced_at.is_some() && kept.synced_at == copied.synced_at);
        now(templates::add(&context, "oa", "3", &[])).unwrap();
        assert_eq!(read().unwrap().templates, [template("1", Approved)], "it is gone there");
    }
}

#[test]
fn a_copy_does_not_grow_by_what_is_looked_up() {
    let world = World::new(false);
    let context = world.context();
    let many = (0..templates::MAX_TEMPLATES).map(|id| template(&format!("{id:05}"), ProviderTemplateState::Approved));
    now(templates::replace(&context, "oa", many.collect())).unwrap();
    let one_more = [template("99999", ProviderTemplateState::Approved)];
    now(templates::add(&context, "oa", "99999", &one_more)).unwrap();
    let kept = now(templates::read(&context, "oa")).unwrap().unwrap();
    assert_eq!(kept.templates.len(), templates::MAX_TEMPLATES);
}

#[test]
fn a_message_to_a_customer_goes_to_a_thread_that_is_known_before() {
    let world = World::new(false);
    let peer = "phone//+84912000111";
    for (account, id) in [("bot", "1"), ("oa", "2")] {
        world.pass(1000);
        let mut arrival = link::arrival(link::message(account, peer, &[], id));
        arrival.received_at = world.context().now();
        now(apply(&world.context(), &[arrival])).unwrap();
    }
    let key = identifier::key(
        "t",
        &Identifier {
            r#type: "phone".into(),
            scope: String::new(),
            value: "+84912000111".into(),
        },
    );
    let claim = now(world.context().claim(key)).unwrap();
    let customer = CustomerId::from_bytes(&claim.value.unwrap().customer).unwrap();
    let account_of = |tenant: &str, account: Option<&str>| {
        let found = now(thread_of_customer(&world.context(), tenant, customer, account));
        found.map(|target| match target {
            Target::Thread {
                account_id, channel, ..
            } => (account_id, channel),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(
        account_of("t", None).unwrap(),
        ("oa".into(), "test".into()),
        "last written to"
    );
    assert_eq!(account_of("t", Some("bot")).unwrap().0, "bot");
    assert!(matches!(account_of("t", Some("mail")), Err(NotAccepted::NoThread)));
    assert!(matches!(account_of("other", None), Err(NotAccepted::NoSuchCustomer)));
}
