use super::*;
use omnigate_core::delivery::disposition::account_rests;
use omnigate_proto::v1::SendError;

fn class(server: Server, code: i64) -> ErrorClass {
    meaning(server, code, "", false).class
}

/// Every code of the tables, and what follows from it.
#[test]
fn every_documented_code_has_its_class() {
    use ErrorClass::{Account, Content, Policy, RecipientPermanent, RecipientTemporary, Refused, Throttled};
    let open_api: &[(ErrorClass, &[i64])] = &[
        (Throttled, &[-32, -211]),
        (Content, &[-100, -201, -202, -207, -208, -210, -233, -235, -248, -249]),
        (RecipientTemporary, &[-200, -214, -218, -234, -1, -999, 1]),
        (
            Account,
            &[
                -124, -204, -205, -209, -212, -216, -219, -220, -221, -223, -224, -238, -240, -241, -242, -320, -321,
            ],
        ),
        (Refused, &[-213, -217, -244]),
        (RecipientPermanent, &[-227, -237, -403]),
        (Policy, &[-230, -232, -305, -311]),
    ];
    let zns: &[(ErrorClass, &[i64])] = &[
        (Throttled, &[-32, -115, -126, -144, -1441, -147]),
        (RecipientTemporary, &[-100, -110, -133, -1472, -999]),
        (
            Account,
            &[
                -101, -102, -103, -104, -105, -120, -1201, -1202, -124, -1241, -125, -135, -1351, -136, -137, -138,
                -1381, -145, -161, -216, -219, -220, -320, -321,
            ],
        ),
        (RecipientPermanent, &[-108, -114, -118, -119]),
        (Policy, &[-127, -134, -140, -1471]),
        (Refused, &[-139, -141]),
        (
            Content,
            &[
                -106, -107, -109, -1091, -111, -112, -1121, -1122, -1123, -1124, -113, -1131, -116, -117, -121, -122,
                -123, -128, -129, -130, -131, -132, -142, -143, -146, -148, -149, -1491, -150, -151, -152, -153, -158,
                -159, -160, -162,
            ],
        ),
    ];
    for (server, table) in [(Server::OpenApi, open_api), (Server::Zns, zns)] {
        for (expected, codes) in table {
            for code in *codes {
                assert_eq!(class(server, *code), *expected, "{server:?} {code}");
            }
        }
    }
}

#[test]
fn no_code_is_ambiguous_and_a_window_closes_on_one_server_alone() {
    for server in [Server::OpenApi, Server::Zns] {
        for code in -2000..2000 {
            let found = meaning(server, code, "", false);
            assert!(
                !matches!(found.class, ErrorClass::Ambiguous | ErrorClass::Unspecified),
                "{code}"
            );
            assert_eq!(
                found.outside_window,
                server == Server::OpenApi && matches!(code, -230 | -232),
                "{code}"
            );
        }
    }
}

#[test]
fn hours_and_quotas_are_told_apart_from_failures_and_only_calls_slow_the_account_down() {
    use WaitReason::{AccountQuota, Hours, RecipientQuota, Unspecified};
    let reasons: &[(Server, WaitReason, &[i64])] = &[
        (Server::OpenApi, Hours, &[-234]),
        (Server::OpenApi, RecipientQuota, &[-218]),
        (Server::OpenApi, AccountQuota, &[-211]),
        (Server::Zns, Hours, &[-133]),
        (Server::Zns, RecipientQuota, &[-1472]),
        (Server::Zns, AccountQuota, &[-115, -126, -144, -1441, -147]),
    ];
    for server in [Server::OpenApi, Server::Zns] {
        for code in -2000..2000 {
            let mut listed = reasons
                .iter()
                .filter(|(at, _, codes)| *at == server && codes.contains(&code));
            let expected = listed.next().map_or(Unspecified, |(_, reason, _)| *reason);
            let found = meaning(server, code, "", false);
            assert_eq!(found.reason, expected, "{server:?} {code}");
            assert!(
                expected == Unspecified || found.wait != Wait::Unknown,
                "{server:?} {code}"
            );
            let error = SendError {
                class: found.class.into(),
                wait_reason: found.reason.into(),
                ..SendError::default()
            };
            let slows = account_rests(&error).is_some() && found.class == ErrorClass::Throttled;
            assert_eq!(slows, code == -32, "{server:?} {code}");
        }
    }
}

#[test]
fn an_invalid_recipient_is_no_invalid_content() {
    let of = |words| meaning(Server::OpenApi, -201, words, false).class;
    assert_eq!(of("user_id is invalid!"), ErrorClass::RecipientPermanent);
    assert_eq!(of("text is invalid!"), ErrorClass::Content);
}

#[test]
fn a_refusal_of_templates_falls_through_only_where_the_operator_said_so() {
    assert_eq!(
        meaning(Server::Zns, -141, "", true).class,
        ErrorClass::RecipientPermanent
    );
    assert_eq!(meaning(Server::OpenApi, -217, "", true).class, ErrorClass::Refused);
}

#[test]
fn the_night_ends_at_six_in_viet_nam() {
    let hours = |hours: i64, minutes: i64| Moment(1_767_225_600_000 + (hours * 60 + minutes) * 60_000);
    let wait = |now: Moment, of: Wait| of.from(now).as_secs();
    // 2026-01-01T00:00Z is 07:00 there.
    assert_eq!(wait(hours(0, 0), Wait::Morning), 23 * 3600 + 60);
    // 22:30 there.
    assert_eq!(wait(hours(15, 30), Wait::Morning), 7 * 3600 + 30 * 60 + 60);
    // 05:59 and 06:05 there, where clocks may differ.
    assert_eq!(wait(hours(22, 59), Wait::Morning), 120);
    assert_eq!(wait(hours(23, 5), Wait::Morning), 60);
    assert_eq!(wait(hours(16, 0), Wait::Midnight), 3600 + 60);
    assert_eq!(wait(hours(17, 30), Wait::Midnight), 23 * 3600 + 30 * 60 + 60);
}
