//! What was said, through merges, splits and crashes.

use super::*;
use crate::meddled::Meddled;

#[test]
fn a_merge_creates_no_consent_and_a_split_loses_none() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [older, younger] = two(&world);
        grant(&world, PHONE, 1);
        hears(&world, &[wish("b", ZALO, 2, SubscriptionState::Unsubscribed, "")]);
        let both = || [PHONE, ZALO].map(|text| (stands(&world, text), all(&world, text).len()));
        let before = both();
        assert_eq!(
            before,
            [(Some(ConsentStatus::Granted), 1), (Some(ConsentStatus::Denied), 1)]
        );
        merged(&world, older, younger);
        assert_eq!(both(), before);
        assert_eq!(code(&world, PHONE, Purpose::Marketing), None);
        assert_eq!(code(&world, ZALO, Purpose::Marketing), Some("opted_out"));
        taken_apart(&world, younger);
        assert_ne!(customer(&world, PHONE), customer(&world, ZALO));
        assert_eq!(both(), before);
    }
}

#[test]
fn a_merge_makes_the_customers_word_stricter_and_a_split_gives_each_their_own_back() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [older, younger] = two(&world);
        refuses(&world, younger, true);
        assert_eq!(code(&world, PHONE, Purpose::Marketing), None);
        merged(&world, older, younger);
        for text in [PHONE, ZALO] {
            assert_eq!(
                code(&world, text, Purpose::Marketing),
                Some("customer_opted_out"),
                "{text}"
            );
            assert_eq!(code(&world, text, Purpose::Service), None, "{text}");
        }
        taken_apart(&world, younger);
        assert_eq!(code(&world, PHONE, Purpose::Marketing), None);
        assert_eq!(code(&world, ZALO, Purpose::Marketing), Some("customer_opted_out"));
    }
}

#[test]
fn a_word_said_while_two_are_one_holds_for_both_and_is_taken_back_for_both() {
    for loses in [false, true] {
        let world = World::new(loses);
        let [older, younger] = two(&world);
        refuses(&world, younger, true);
        merged(&world, older, younger);
        refuses(&world, older, false);
        assert_eq!(code(&world, ZALO, Purpose::Marketing), None);
        refuses(&world, younger, true);
        taken_apart(&world, younger);
        for text in [PHONE, ZALO] {
            assert_eq!(
                code(&world, text, Purpose::Marketing),
                Some("customer_opted_out"),
                "{text}"
            );
        }
        // Taken back for one of them now.
        refuses(&world, older, false);
        assert_eq!(code(&world, PHONE, Purpose::Marketing), None);
        assert_eq!(code(&world, ZALO, Purpose::Marketing), Some("customer_opted_out"));
    }
}

/// A store that a process loses at one of its calls.
struct Lost<'a> {
    world: &'a World,
    calls: AtomicU64,
    at: u64,
}

impl Lost<'_> {
    fn call(&self) -> Result<(), StoreError> {
        match self.calls.fetch_add(1, Ordering::Relaxed) >= self.at {
            true => Err(StoreError::Unavailable("lost".into())),
            false => Ok(()),
        }
    }
}

#[async_trait::async_trait]
impl Store for Lost<'_> {
    async fn read(&self, shard: Shard, queries: Vec<Query>) -> Result<Vec<Answer>, StoreError> {
        self.call()?;
        self.world.store.read(shard, queries).await
    }

    async fn commit(&self, shard: Shard, commit: Commit) -> Result<Outcome, StoreError> {
        self.call()?;
        self.world.store.commit(shard, commit).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

#[test]
fn a_word_is_written_also_where_a_split_was_left_half_done() {
    for at in 0..16 {
        let world = World::new(false);
        let [older, younger] = two(&world);
        merged(&world, older, younger);
        let store = Lost {
            world: &world,
            calls: AtomicU64::default(),
            at,
        };
        let context = Context {
            store: &store,
            ..world.context()
        };
        let whole = now(read::customer(&world.context(), "t", younger)).unwrap().unwrap();
        let step = whole.merges().next().unwrap();
        // It may end, or die on the way.
        now(split(&context, &apart(younger, step), younger, &mut Vec::new())).ok();
        refuses(&world, older, true);
        refuses(&world, younger, true);
        refuses(&world, younger, false);
    }
}

#[test]
fn who_was_taken_apart_meanwhile_keeps_their_word() {
    let mut kept = 0;
    for at in 0..16 {
        let world = World::new(false);
        let [older, younger] = two(&world);
        refuses(&world, younger, true);
        merged(&world, older, younger);
        world.pass(10);
        let seen = Mutex::new(None);
        let meddle = || {
            taken_apart(&world, younger);
            let said = now(refusals(&world.context(), "t", &named(ZALO), younger)).unwrap();
            *seen.lock().unwrap() = Some(said.iter().any(|(_, said)| said.refuses));
        };
        let store = Meddled::new(&world, at, &meddle);
        now(set_refusal(&store.context(), "t", older, &word(&world, false))).unwrap();
        let said = now(refusals(&world.context(), "t", &named(ZALO), younger)).unwrap();
        let refuses = said.iter().any(|(_, said)| said.refuses);
        let seen = *seen.lock().unwrap();
        assert!(seen.is_none_or(|seen| seen == refuses), "call {at}");
        kept += usize::from(refuses);
    }
    assert!(kept > 3, "{kept}");
}

#[test]
fn a_repeated_request_does_not_undo_what_came_after_it() {
    let world = World::new(false);
    let [older, _] = two(&world);
    let first = word(&world, true);
    let set = |word: &RefusalRecord| now(set_refusal(&world.context(), "t", older, word)).unwrap().unwrap().1;
    assert!(set(&first));
    world.pass(5);
    assert!(!set(&word(&world, false)));
    assert!(!set(&first), "the caller repeats what was answered already");
    let nobody = CustomerId::new(Moment(1), Shard::new(9), [1; 16]);
    assert_eq!(now(set_refusal(&world.context(), "t", nobody, &first)).unwrap(), None);
    assert_eq!(
        now(set_refusal(&world.context(), "u", older, &first)).unwrap(),
        None,
        "another tenant"
    );
}
