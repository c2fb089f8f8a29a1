use super::*;
use omnigate_core::port::adapter::{NoTokens, TokenPair};
use std::time::Duration;

const NOW: Moment = Moment(1_800_000_000_000);

fn asked(grant: Option<Granted>) -> AuthorizeAccountRequest {
    AuthorizeAccountRequest {
        account_id: "shop".into(),
        grant,
        request_id: "1".into(),
        ..AuthorizeAccountRequest::default()
    }
}

fn refused(asked: AuthorizeAccountRequest) -> String {
    grant(asked).unwrap_err().message
}

#[test]
fn what_is_handed_in_is_one_secret_without_white_space() {
    let code = || Some(Granted::AuthorizationCode("c0de".into()));
    let (taken, _) = grant(AuthorizeAccountRequest {
        code_verifier: "v".into(),
        ..asked(code())
    })
    .unwrap();
    let expected = Grant::AuthorizationCode {
        code: "c0de".into(),
        verifier: "v".into(),
    };
    assert!(taken == expected);
    let token = |text: String| asked(Some(Granted::RefreshToken(text)));
    for (asked, words) in [
        (asked(None), "must be set"),
        (token(String::new()), "must not be empty"),
        (token("abc\n".into()), "no white space"),
        (token("a".repeat(5000)), "at most 4096"),
        (
            AuthorizeAccountRequest {
                code_verifier: "v".into(),
                ..token("x".into())
            },
            "belongs to authorization_code",
        ),
        (
            AuthorizeAccountRequest {
                request_id: String::new(),
                ..asked(code())
            },
            "request_id",
        ),
    ] {
        let said = refused(asked);
        assert!(said.contains(words) && !said.contains("abc"), "{said}");
    }
}

fn record() -> CredentialRecord {
    let begun = CredentialRecord::default();
    let pair = TokenPair {
        access_token: "a".into(),
        access_for: Some(Duration::from_secs(90_000)),
        refresh_token: "r".into(),
        refresh_for: None,
    };
    let grant = Grant::RefreshToken("seed".into());
    omnigate_core::credential::fetched(&begun, &begun, &grant, &Ok(pair), NOW).unwrap()
}

#[test]
fn the_state_of_an_account_follows_its_tokens() {
    let state = |record: Option<&CredentialRecord>, now| {
        let shown = with_tokens(record, now);
        (shown.state(), shown.problem, shown.authorization_pending)
    };
    let (never, problem, _) = state(None, NOW);
    assert!(never == AccountState::Unauthorized && problem.contains("nobody has authorised"));
    let live = record();
    assert_eq!(state(Some(&live), NOW), (AccountState::Active, String::new(), false));
    assert!(with_tokens(Some(&live), NOW).token_expires_at.is_some());
    let handed = CredentialRecord {
        handed_refresh_token: "x".into(),
        ..live.clone()
    };
    assert_eq!(state(Some(&handed), NOW), (AccountState::Active, String::new(), true));
    let dead = CredentialRecord {
        dead: "used before".into(),
        ..live.clone()
    };
    assert_eq!(
        state(Some(&dead), NOW),
        (AccountState::Unauthorized, "used before".into(), false)
    );
    let tried = CredentialRecord {
        handed_refresh_token: "x".into(),
        problem: "timed out".into(),
        ..dead
    };
    let (state_then, problem, pending) = state(Some(&tried), NOW);
    assert!(state_then == AccountState::Unauthorized && problem.ends_with("tried: timed out") && pending);
    let away = Err(NoTokens::Unavailable("timed out".into()));
    let grant = Grant::RefreshToken("r".into());
    let late = NOW + Duration::from_secs(90_000);
    let failing = omnigate_core::credential::fetched(&live, &live, &grant, &away, late).unwrap();
    let (state_then, problem, _) = state(Some(&failing), late);
    assert!(state_then == AccountState::Unreachable && problem.contains("timed out"));
}
