//! Pairs of tokens over the store: who fetches, and what becomes of the answers.

use crate::{World, now};
use omnigate_core::credential::{self, FETCH_TIME, Need, digest, usable};
use omnigate_core::port::adapter::{Grant, NoTokens, TokenPair};
use omnigate_core::protocol::credential::{NotTaken, Turn, begin, hand_in, read, refuse, settle};
use omnigate_core::time::Moment;
use omnigate_proto::state::v1::CredentialRecord;
use std::time::Duration;

const SEED: &str = "first";
const LIFE: Duration = Duration::from_secs(90_000);

fn pair(number: u32) -> TokenPair {
    TokenPair {
        access_token: format!("a{number}"),
        access_for: Some(LIFE),
        refresh_token: format!("r{number}"),
        refresh_for: None,
    }
}

fn token(text: &str) -> Grant {
    Grant::RefreshToken(text.to_owned())
}

fn dead(why: &str) -> Result<TokenPair, NoTokens> {
    Err(NoTokens::Dead(why.to_owned()))
}

fn turn(world: &World, owner: &str) -> Turn {
    now(begin(&world.context(), "oa", Some(SEED), owner)).unwrap()
}

fn fetches(world: &World, owner: &str) -> (CredentialRecord, Grant) {
    match turn(world, owner) {
        Turn::Fetch(begun, grant) => (*begun, grant),
        Turn::Wait(need) => panic!("{owner} waits: {need:?}"),
    }
}

fn answered(world: &World, (begun, grant): &(CredentialRecord, Grant), answer: &Result<TokenPair, NoTokens>) {
    now(settle(&world.context(), "oa", begun, grant, answer)).unwrap();
}

fn stored(world: &World) -> CredentialRecord {
    now(read(&world.context(), "oa")).unwrap().unwrap()
}

fn present(world: &World) -> Option<String> {
    usable(&stored(world), world.context().now()).map(str::to_owned)
}

fn pass(world: &World, time: Duration) {
    world.pass(i64::try_from(time.as_millis()).unwrap());
}

/// A world in which the first pair was fetched.
fn with_pair(loses: bool) -> World {
    let world = World::new(loses);
    let first = fetches(&world, "a");
    answered(&world, &first, &Ok(pair(1)));
    world
}

#[test]
fn of_two_processes_one_fetches_and_both_read() {
    for loses in [false, true] {
        let world = World::new(loses);
        let mine = fetches(&world, "a");
        assert_eq!(mine.1, token(SEED));
        let until = Moment(mine.0.refreshing_since_ms) + FETCH_TIME * 2;
        assert!(matches!(turn(&world, "b"), Turn::Wait(Need::Held(at)) if at == until));
        answered(&world, &mine, &Ok(pair(1)));
        for owner in ["a", "b"] {
            assert!(matches!(turn(&world, owner), Turn::Wait(Need::Nothing(_))));
        }
        assert_eq!(present(&world).as_deref(), Some("a1"));
        pass(&world, LIFE * 4 / 5);
        let theirs = fetches(&world, "b");
        assert_eq!(theirs.1, token("r1"));
        assert!(matches!(turn(&world, "a"), Turn::Wait(Need::Held(_))));
    }
}

#[test]
fn who_dies_between_begin_and_settle_is_taken_over_with_the_same_token() {
    for loses in [false, true] {
        let world = with_pair(loses);
        pass(&world, LIFE * 4 / 5);
        fetches(&world, "a");
        pass(&world, FETCH_TIME * 2 - Duration::from_millis(1));
        assert!(matches!(turn(&world, "b"), Turn::Wait(Need::Held(_))));
        pass(&world, Duration::from_millis(1));
        let again = fetches(&world, "b");
        assert_eq!(again.1, token("r1"));
        // Nobody knows whether it was used before; when it was, the account says so, and the access token lives on.
        answered(&world, &again, &dead("used before"));
        assert!(matches!(turn(&world, "b"), Turn::Wait(Need::Person)));
        assert_eq!(stored(&world).dead, "used before");
        assert_eq!(present(&world).as_deref(), Some("a1"));
    }
}

#[test]
fn a_process_goes_on_with_what_it_began_itself() {
    for loses in [false, true] {
        let world = with_pair(loses);
        pass(&world, LIFE * 4 / 5);
        let cut = fetches(&world, "a");
        pass(&world, Duration::from_secs(1));
        let again = fetches(&world, "a");
        assert_eq!(cut.1, again.1);
        answered(&world, &again, &Ok(pair(2)));
        assert_eq!(present(&world).as_deref(), Some("a2"));
    }
}

#[test]
fn an_answer_written_twice_is_written_once() {
    for loses in [false, true] {
        let world = with_pair(loses);
        pass(&world, LIFE * 4 / 5);
        let mine = fetches(&world, "a");
        answered(&world, &mine, &Ok(pair(2)));
        pass(&world, LIFE * 4 / 5);
        let theirs = fetches(&world, "b");
        answered(&world, &theirs, &Ok(pair(3)));
        // The process was cut off from the store for a day, and now its commit is tried again.
        answered(&world, &mine, &Ok(pair(2)));
        assert_eq!(present(&world).as_deref(), Some("a3"));
        assert_eq!(stored(&world).refresh_token, "r3");
    }
}

#[test]
fn a_pair_is_never_thrown_away() {
    for loses in [false, true] {
        let world = with_pair(loses);
        pass(&world, LIFE * 4 / 5);
        let late = fetches(&world, "a");
        pass(&world, FETCH_TIME * 2);
        let theirs = fetches(&world, "b");
        // The provider answered the first and refuses the second; in whichever order they are written down.
        answered(&world, &theirs, &dead("used before"));
        answered(&world, &late, &Ok(pair(2)));
        assert_eq!(present(&world).as_deref(), Some("a2"));
        assert!(stored(&world).dead.is_empty(), "the account lives");
        pass(&world, LIFE * 4 / 5);
        let late = fetches(&world, "a");
        pass(&world, FETCH_TIME * 2);
        let theirs = fetches(&world, "b");
        answered(&world, &late, &Ok(pair(3)));
        answered(&world, &theirs, &dead("used before"));
        assert_eq!(present(&world).as_deref(), Some("a3"));
        assert!(stored(&world).dead.is_empty(), "the account lives");
    }
}

#[test]
fn what_is_handed_in_waits_for_the_fetch_under_way_and_takes_its_place_once_it_was_taken() {
    for loses in [false, true] {
        let world = with_pair(loses);
        pass(&world, LIFE * 4 / 5);
        let mine = fetches(&world, "a");
        now(hand_in(&world.context(), "oa", &token("theirs"), "1")).unwrap();
        assert!(matches!(turn(&world, "b"), Turn::Wait(Need::Held(_))));
        answered(&world, &mine, &Ok(pair(2)));
        let handed = fetches(&world, "b");
        assert_eq!(handed.1, token("theirs"));
        assert_eq!(
            present(&world).as_deref(),
            Some("a2"),
            "what lives is used until the other is taken"
        );
        answered(&world, &handed, &dead("mistyped"));
        let record = stored(&world);
        assert_eq!((record.grant_problem.as_str(), record.dead.as_str()), ("mistyped", ""));
        assert_eq!(present(&world).as_deref(), Some("a2"));
        // The caller asks again because the answer got lost: what was refused is not tried a second time.
        now(hand_in(&world.context(), "oa", &token("theirs"), "1")).unwrap();
        assert!(matches!(turn(&world, "b"), Turn::Wait(Need::Nothing(_))));
        let reused = now(hand_in(&world.context(), "oa", &token("other"), "1"));
        assert!(matches!(reused, Err(NotTaken::RequestIdReused)));
    }
}

#[test]
fn a_code_brings_a_dead_account_back() {
    for loses in [false, true] {
        let world = World::new(loses);
        let first = fetches(&world, "a");
        answered(&world, &first, &dead("expired"));
        let code = Grant::AuthorizationCode {
            code: "c".into(),
            verifier: "v".into(),
        };
        now(hand_in(&world.context(), "oa", &code, "1")).unwrap();
        let second = fetches(&world, "a");
        assert_eq!(second.1, code);
        answered(&world, &second, &Ok(pair(1)));
        assert_eq!(present(&world).as_deref(), Some("a1"));
        assert!(stored(&world).dead.is_empty());
        // Another request.
        now(hand_in(&world.context(), "oa", &code, "2")).unwrap();
        assert_eq!(fetches(&world, "a").1, code);
    }
}

#[test]
fn a_provider_that_is_away_costs_no_token() {
    for loses in [false, true] {
        let world = with_pair(loses);
        pass(&world, LIFE * 4 / 5);
        for _ in 0..40 {
            let mine = fetches(&world, "a");
            assert_eq!(mine.1, token("r1"));
            answered(&world, &mine, &Err(NoTokens::Unavailable("timed out".to_owned())));
            let Turn::Wait(Need::Nothing(at)) = turn(&world, "b") else {
                panic!("it is not asked at once")
            };
            let wait = at.since(world.context().now());
            assert!(wait <= Duration::from_secs(300), "{wait:?}");
            pass(&world, wait);
        }
        assert_eq!(stored(&world).problem, "timed out");
    }
}

#[test]
fn a_refused_token_is_noted_once_and_only_while_it_is_the_present_one() {
    for loses in [false, true] {
        let world = with_pair(loses);
        now(refuse(&world.context(), "oa", &digest("another"))).unwrap();
        assert_eq!(present(&world).as_deref(), Some("a1"));
        for _ in 0..3 {
            now(refuse(&world.context(), "oa", &digest("a1"))).unwrap();
        }
        assert_eq!(present(&world), None);
        pass(&world, Duration::from_secs(30));
        let mine = fetches(&world, "a");
        answered(&world, &mine, &Ok(pair(2)));
        now(refuse(&world.context(), "oa", &digest("a1"))).unwrap();
        assert_eq!(
            present(&world).as_deref(),
            Some("a2"),
            "a late refusal of the former one"
        );
    }
    let nobody = World::new(false);
    now(refuse(&nobody.context(), "oa", &digest("a1"))).unwrap();
    assert_eq!(now(read(&nobody.context(), "oa")).unwrap(), None);
}

#[test]
fn an_account_without_anything_waits_for_a_person() {
    let world = World::new(false);
    let turn = now(begin(&world.context(), "oa", None, "a")).unwrap();
    assert!(matches!(turn, Turn::Wait(Need::Person)));
    let standing = credential::standing(None, None, world.context().now());
    assert!(matches!(standing, credential::Standing::Person(_)));
}
