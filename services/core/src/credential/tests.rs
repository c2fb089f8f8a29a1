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
    let (theirs, _) = begun(Some(&mine), 40);
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
    let again = hand_in(Some(&dead), &code);
    let (next, grant) = begun(Some(&again), 10_000);
    assert_eq!(grant, code);
    let after = fetched(&next, &next, &grant, &Ok(pair("a2", "r2")), at(10_001)).unwrap();
    assert_eq!(usable(&after, at(10_002)), Some("a2"));
    assert!(after.authorization_code.is_empty(), "a code is used once");
}

#[test]
fn another_configured_token_replaces_the_pair_and_brings_a_dead_account_back() {
    let (record, grant) = begun(None, 0);
    let dead = fetched(&record, &record, &grant, &Err(NoTokens::Dead("x".into())), at(1)).unwrap();
    match need(Some(&dead), Some("second"), "me", at(2)) {
        Need::Fetch(_, grant) => assert_eq!(grant, Grant::RefreshToken("second".into())),
        other => panic!("{other:?}"),
    }
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
    let handed = hand_in(Some(&first_pair()), &code);
    let (next, grant) = begun(Some(&handed), 5);
    let after = fetched(&next, &next, &grant, &Err(NoTokens::Dead("expired".into())), at(6)).unwrap();
    assert_eq!(usable(&after, at(7)), Some("a1"));
    assert!(after.dead.is_empty());
}
