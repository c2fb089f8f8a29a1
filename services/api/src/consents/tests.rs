use super::*;
use omnigate_rpc::auth::Scopes;

#[test]
fn what_undoes_a_refusal_needs_an_admin() {
    let by = |scopes: &[Scope]| {
        let mut request = Request::new(());
        let scopes: Scopes = scopes.iter().copied().collect();
        request.extensions_mut().insert(Caller::new("crm", "t", scopes));
        may_undo(&request)
    };
    assert_eq!(by(&[Scope::Send]).unwrap_err().reason, "SCOPE_MISSING");
    assert_eq!(by(&[Scope::Send, Scope::Admin]), Ok(()));
}

#[test]
fn a_channel_is_a_word() {
    for good in ["sms", "web_chat-2"] {
        assert_eq!(channel(good), Ok(()));
    }
    for bad in ["", "SMS", "s m s", "é", &"a".repeat(65)] {
        assert!(channel(bad).is_err(), "{bad}");
    }
}
