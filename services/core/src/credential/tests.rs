use super::*;

const SEED: &str = "first";

fn pair(access: &str, refresh: &str) -> TokenPair {
    TokenPair {
        access_token: access.to_owned(),
        access_for: Some(Duration::from_secs(90_000)),
        refresh_token: refresh.to_owned(),
        refresh_for: None,
    }
}

fn at(seconds: u64) -> Moment {
    Moment(1_000_000) + Duration::from_secs(seconds)
}

fn begun(record: Option<&CredentialRecord>, seconds: u64) -> (CredentialRecord, Grant) {
    match need(record, Some(SEED), "me", at(seconds)) {
        Need::Fetch(next, grant) => (*next, grant),
        other => panic!("{other:?}"),
    }
}

fn first_pair() -> CredentialRecord {
    let (begun, grant) = begun(None, 0);
    fetched(&begun, &begun, &grant, &Ok(pair("a1", "r1")), at(0)).unwrap()
}

#[test]
fn the_configured_token_is_used_once_and_its_successors_after_it() {
    let (record, grant) = begun(None, 0);
    assert_eq!(grant, Grant::RefreshToken(SEED.into()));
    let after = fetched(&record, &record, &grant, &Ok(pair("a1", "r1")), at(1)).unwrap();
    assert_eq!(usable(&after, at(2)), Some("a1"));
    assert!(matches!(need(Some(&after), Some(SEED), "me", at(2)), Need::Nothing(_)));
    let (_, next) = begun(Some(&after), 80_000);
    assert_eq!(next, Grant::RefreshToken("r1".into()));
}

#[test]
fn a_pair_is_replaced_while_a_fifth_of_its_life_is_left() {
    let record = first_pair();
    assert_eq!(
        need(Some(&record), Some(SEED), "me", at(71_999)),
        Need::Nothing(at(72_000))
    );
    assert!(matches!(
        need(Some(&record), Some(SEED), "me", at(72_000)),
        Need::Fetch(..)
    ));
}

#[test]
fn only_one_fetches_until_it_must_be_dead() {
    let (record, _) = begun(None, 0);
    assert_eq!(need(Some(&record), Some(SEED), "other", at(39)), Need::Held(at(40)));
    assert!(matches!(
        need(Some(&record), Some(SEED), "other", at(40)),
        Need::Fetch(..)
    ));
}

#[test]
fn an_answer_that_comes_after_another_fetch_began_still_saves_its_pair() {
    let (mine, grant) = begun(None, 0);
    let Need::Fetch(theirs, _) = need(Some(&mine), Some(SEED), "other", at(40)) else {
        panic!("they may begin")
    };
    let saved = fetched(&mine, &theirs, &grant, &Ok(pair("a1", "r1")), at(41)).unwrap();
    assert_eq!(saved.refresh_token, "r1");
    // The other one is refused because ours was first: that must not undo what we saved.
    let refused = Err(NoTokens::Dead("used before".into()));
    assert_eq!(fetched(&theirs, &saved, &grant, &refused, at(42)), None);
}

#[test]
fn a_dead_refresh_token_needs_a_person_until_one_hands_something_in() {
    let (record, grant) = begun(None, 0);
    let dead = fetched(
        &record,
        &record,
        &grant,
        &Err(NoTokens::Dead("used before".into())),
        at(1),
    )
    .unwrap();
    assert_eq!(need(Some(&dead), Some(SEED), "me", at(9_999)), Need::Person);
    assert_eq!(dead.dead, "used before");
    let code = Grant::AuthorizationCode {
        code: "c".into(),
        verifier: "v".into(),
    };
    let again = taken(Some(&dead), &code, "1");
    assert_eq!(standing(Some(&dead), None, at(2)), Standing::Person("used before"));
    assert_eq!(standing(Some(&again), None, at(2)), Standing::Tried);
    let (next, grant) = begun(Some(&again), 10_000);
    assert_eq!(grant, code);
    let after = fetched(&next, &next, &grant, &Ok(pair("a2", "r2")), at(10_001)).unwrap();
    assert_eq!(usable(&after, at(10_002)), Some("a2"));
    assert_eq!(handed_in(&after), None, "a code is used once");
    assert_eq!(standing(Some(&after), None, at(10_002)), Standing::Good);
}

#[test]
fn another_configured_token_is_tried_beside_the_pair_and_brings_a_dead_account_back() {
    let pair_before = first_pair();
    let Need::Fetch(next, second) = need(Some(&pair_before), Some("second"), "me", at(2)) else {
        panic!("it is tried at once")
    };
    assert_eq!(second, Grant::RefreshToken("second".into()));
    assert_eq!(usable(&next, at(2)), Some("a1"), "what lives is used until then");
    let refused = fetched(&next, &next, &second, &Err(NoTokens::Dead("mistyped".into())), at(3)).unwrap();
    assert_eq!((refused.refresh_token.as_str(), refused.dead.as_str()), ("r1", ""));
    assert_eq!(refused.grant_problem, "mistyped");
    let used_up = CredentialRecord {
        dead: "used before".into(),
        ..first_pair()
    };
    let (next, third) = match need(Some(&used_up), Some("third"), "me", at(2)) {
        Need::Fetch(next, grant) => (next, grant),
        other => panic!("{other:?}"),
    };
    let back = fetched(&next, &next, &third, &Ok(pair("a3", "r3")), at(3)).unwrap();
    assert_eq!((back.refresh_token.as_str(), back.dead.as_str()), ("r3", ""));
}

#[test]
fn a_process_with_a_former_configuration_brings_no_former_token_back() {
    let (next, grant) = match need(Some(&first_pair()), Some("second"), "new", at(2)) {
        Need::Fetch(next, grant) => (next, grant),
        other => panic!("{other:?}"),
    };
    let after = fetched(&next, &next, &grant, &Ok(pair("a2", "r2")), at(3)).unwrap();
    let old = need(Some(&after), Some(SEED), "old", at(4));
    assert!(matches!(old, Need::Nothing(_)), "{old:?}");
}

#[test]
fn a_provider_that_is_away_is_asked_again_with_growing_pauses_and_the_same_token() {
    let (record, grant) = begun(None, 0);
    let away: Result<TokenPair, _> = Err(NoTokens::Unavailable("timed out".into()));
    let once = fetched(&record, &record, &grant, &away, at(0)).unwrap();
    assert_eq!(need(Some(&once), Some(SEED), "me", at(1)), Need::Nothing(at(2)));
    let (again, same) = begun(Some(&once), 2);
    assert_eq!(same, grant);
    let twice = fetched(&again, &again, &grant, &away, at(2)).unwrap();
    assert_eq!(need(Some(&twice), Some(SEED), "me", at(5)), Need::Nothing(at(6)));
}

#[test]
fn a_refused_token_is_not_given_out_again_and_another_is_fetched_soon_but_not_at_once() {
    let record = first_pair();
    let digest = Sha256::digest(b"a1").to_vec();
    let refused = refuse(&record, &digest).unwrap();
    assert_eq!(usable(&refused, at(1)), None);
    assert_eq!(need(Some(&refused), Some(SEED), "me", at(1)), Need::Nothing(at(30)));
    assert!(matches!(
        need(Some(&refused), Some(SEED), "me", at(30)),
        Need::Fetch(..)
    ));
    assert_eq!(refuse(&refused, &digest), None, "known already");
    assert_eq!(refuse(&record, &Sha256::digest(b"other")), None, "not the present one");
}

#[test]
fn a_code_that_the_provider_refuses_leaves_the_pair_that_lives() {
    let code = Grant::AuthorizationCode {
        code: "c".into(),
        verifier: String::new(),
    };
    let handed = taken(Some(&first_pair()), &code, "1");
    let (next, grant) = begun(Some(&handed), 5);
    let after = fetched(&next, &next, &grant, &Err(NoTokens::Dead("expired".into())), at(6)).unwrap();
    assert_eq!(usable(&after, at(7)), Some("a1"));
    assert!(after.dead.is_empty());
    assert_eq!(after.grant_problem, "expired");
}

fn taken(record: Option<&CredentialRecord>, grant: &Grant, request_id: &str) -> CredentialRecord {
    match hand_in(record, grant, request_id) {
        HandedIn::Taken(next) => *next,
        other => panic!("{other:?}"),
    }
}

fn token(text: &str) -> Grant {
    Grant::RefreshToken(text.to_owned())
}

#[test]
fn what_is_handed_in_while_a_fetch_is_under_way_is_tried_after_it_and_nothing_is_lost() {
    let (begun_at_20, old) = begun(Some(&first_pair()), 80_000);
    let handed = taken(Some(&begun_at_20), &token("theirs"), "1");
    assert!(matches!(
        need(Some(&handed), Some(SEED), "other", at(80_001)),
        Need::Held(_)
    ));
    let after = fetched(&begun_at_20, &handed, &old, &Ok(pair("a2", "r2")), at(80_002)).unwrap();
    assert_eq!(after.refresh_token, "r2");
    let (next, grant) = begun(Some(&after), 80_003);
    assert_eq!(grant, token("theirs"));
    // A second one arrives while the first is tried: the answer to the first says nothing about it.
    let second = taken(Some(&next), &token("better"), "2");
    let refused = Err(NoTokens::Dead("mistyped".into()));
    let after = fetched(&next, &second, &grant, &refused, at(80_004)).unwrap();
    assert_eq!(
        (handed_in(&after), after.grant_problem.as_str()),
        (Some(token("better")), "")
    );
    assert_eq!(usable(&after, at(80_005)), Some("a2"));
}

#[test]
fn an_older_answer_does_not_replace_a_newer_pair() {
    let (mine, grant) = begun(None, 0);
    let Need::Fetch(theirs, same_grant) = need(Some(&mine), Some(SEED), "other", at(40)) else {
        panic!("they may begin")
    };
    let newer = fetched(&theirs, &theirs, &same_grant, &Ok(pair("a2", "r2")), at(41)).unwrap();
    assert_eq!(
        fetched(&mine, &newer, &grant, &Ok(pair("a1", "r1")), at(42)),
        None,
        "written down late"
    );
}

#[test]
fn a_pair_survives_a_store_that_forgot() {
    let (begun, grant) = begun(Some(&first_pair()), 80_000);
    let forgot = CredentialRecord::default();
    let saved = fetched(&begun, &forgot, &grant, &Ok(pair("a2", "r2")), at(80_001)).unwrap();
    assert_eq!((saved.refresh_token.as_str(), saved.generation), ("r2", 2));
}

#[test]
fn a_provider_whose_refresh_token_stays_the_same_is_served_too() {
    let (next, grant) = begun(None, 0);
    let after = fetched(&next, &next, &grant, &Ok(pair("a1", SEED)), at(1)).unwrap();
    assert_eq!(usable(&after, at(2)), Some("a1"));
    assert!(matches!(need(Some(&after), Some(SEED), "me", at(2)), Need::Nothing(_)));
}

#[test]
fn handing_in_again_changes_nothing_and_a_request_id_is_for_one_grant() {
    let once = taken(None, &token("x"), "1");
    assert_eq!(hand_in(Some(&once), &token("x"), "1"), HandedIn::Repeated);
    assert_eq!(hand_in(Some(&once), &token("y"), "1"), HandedIn::Reused);
    let (next, grant) = match need(Some(&once), None, "me", at(0)) {
        Need::Fetch(next, grant) => (next, grant),
        other => panic!("{other:?}"),
    };
    let after = fetched(&next, &next, &grant, &Ok(pair("a1", "r1")), at(1)).unwrap();
    assert_eq!(
        hand_in(Some(&after), &token("x"), "1"),
        HandedIn::Repeated,
        "used up meanwhile"
    );
}

#[test]
fn tokens_that_end_at_once_are_not_fetched_all_the_time() {
    let (next, grant) = begun(None, 0);
    let short = TokenPair {
        access_for: Some(Duration::ZERO),
        ..pair("a1", "r1")
    };
    let after = fetched(&next, &next, &grant, &Ok(short), at(0)).unwrap();
    assert_eq!(need(Some(&after), Some(SEED), "me", at(1)), Need::Nothing(at(30)));
}

#[test]
fn times_from_a_clock_that_was_wrong_are_not_waited_for() {
    let day = 86_400;
    let begun_tomorrow = begun(None, day).0;
    assert!(matches!(
        need(Some(&begun_tomorrow), Some(SEED), "other", at(0)),
        Need::Fetch(..)
    ));
    let (next, grant) = begun(None, day);
    let away = Err(NoTokens::Unavailable("timed out".into()));
    let failed = fetched(&next, &next, &grant, &away, at(day)).unwrap();
    assert!(matches!(need(Some(&failed), Some(SEED), "me", at(0)), Need::Fetch(..)));
    let (next, grant) = begun(None, day);
    let tomorrow = fetched(&next, &next, &grant, &Ok(pair("a1", "r1")), at(day)).unwrap();
    assert!(matches!(
        need(Some(&tomorrow), Some(SEED), "me", at(0)),
        Need::Fetch(..)
    ));
    // A few seconds between two machines are no reason.
    assert!(matches!(
        need(Some(&tomorrow), Some(SEED), "me", at(day - 5)),
        Need::Nothing(_)
    ));
}

#[test]
fn how_an_account_stands() {
    assert!(matches!(standing(None, None, at(0)), Standing::Person(_)));
    assert_eq!(standing(None, Some(SEED), at(0)), Standing::Tried);
    let (next, grant) = begun(None, 0);
    assert_eq!(standing(Some(&next), Some(SEED), at(0)), Standing::Tried);
    let away = Err(NoTokens::Unavailable("timed out".into()));
    let live = first_pair();
    assert_eq!(standing(Some(&live), Some(SEED), at(1)), Standing::Good);
    assert_eq!(standing(Some(&live), Some(SEED), at(90_000)), Standing::Coming);
    let (again, refresh) = begun(Some(&live), 90_000);
    let failing = fetched(&again, &again, &refresh, &away, at(90_001)).unwrap();
    assert_eq!(
        standing(Some(&failing), Some(SEED), at(90_002)),
        Standing::Failing("timed out")
    );
    let dead = fetched(&next, &next, &grant, &Err(NoTokens::Dead("no".into())), at(1)).unwrap();
    assert_eq!(standing(Some(&dead), Some(SEED), at(2)), Standing::Person("no"));
    assert_eq!(standing(Some(&dead), Some("another"), at(2)), Standing::Tried);
}
