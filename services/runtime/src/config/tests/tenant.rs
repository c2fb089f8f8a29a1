use super::{loaded, problems};
use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

#[test]
fn tenants_have_limits_of_their_own_and_else_those_of_all() {
    let nothing = loaded("", &[]).tenant_rules();
    assert_eq!(nothing.of("default"), &omnigate_core::tenant::Rules::DEFAULT);
    let text = "[timeline]\nmax_entries = 500\nmax_age_days = 90\n\
                [accounts.shop]\nchannel = \"telegram\"\ntenant = \"brief\"\n\
                [tenants.brief.timeline]\nmax_entries = 0\nmax_age_days = 7\n\
                [tenants.brief.identity]\nreassignment_days = 0";
    let rules = loaded(text, &[]).tenant_rules();
    let (all, brief) = (rules.of("default"), rules.of("brief"));
    assert_eq!(
        (all.timeline.max_entries, all.timeline.max_age),
        (Some(500), Some(DAY * 90))
    );
    assert_eq!(all.reassigned_after, Some(DAY * 90));
    assert_eq!(
        (brief.timeline.max_entries, brief.timeline.max_age),
        (None, Some(DAY * 7))
    );
    assert_eq!(brief.reassigned_after, None);
    let said = problems(
        "[timeline]\nmax_age_days = 40000\n[tenants.brif.timeline]\nmax_entries = 1",
        &[],
    );
    for wanted in [
        "timeline.max_age_days: must be at most 36525",
        "no account or token is of this tenant",
    ] {
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn identifiers_that_bring_nobody_together_are_named_by_value_and_pattern() {
    let text = "[identity.blocked]\nphone = [\"+84 1900 1234\"]\n\
                [accounts.shop]\nchannel = \"sms\"\ntenant = \"brief\"\nsettings = { sender = \"+84281234567\" }\n\
                [tenants.brief.identity]\nblock_role_mailboxes = true\n\
                [tenants.brief.identity.blocked_patterns]\nemail = [\"test.*@example[.]vn\"]";
    let rules = loaded(text, &[]).tenant_rules();
    let (all, brief) = (&rules.of("default").blocked, &rules.of("brief").blocked);
    for blocked in [all, brief] {
        assert!(blocked.holds_value("phone", "+8419001234") && blocked.holds_value("email", "noreply@x.vn"));
    }
    for (kind, value) in [
        ("phone", "+84281234567"),
        ("email", "info@x.vn"),
        ("email", "test7@example.vn"),
    ] {
        assert!(
            brief.holds_value(kind, value) && !all.holds_value(kind, value),
            "{value}"
        );
    }
    let said = problems("[identity.blocked_patterns]\nemail = [\"(\"]", &[]);
    assert!(
        said.contains("identity.blocked_patterns.email: \"(\" is no regular expression"),
        "{said}"
    );
}

#[test]
fn language_zone_and_test_recipients_are_a_tenants_own_or_those_of_all() {
    let nothing = loaded("", &[]).tenant_rules();
    assert_eq!(
        (&*nothing.all.locale, &*nothing.all.time_zone),
        ("vi", "Asia/Ho_Chi_Minh")
    );
    let text = "locale = \"en\"\n[accounts.shop]\nchannel = \"telegram\"\ntenant = \"brief\"\n\
                [tenants.brief]\ntime_zone = \"Europe/Berlin\"\n\
                test_recipients = [\"phone/+84 912 345 678\", \"tg_chat/shop/42\"]";
    let rules = loaded(text, &[]).tenant_rules();
    let (all, brief) = (rules.of("default"), rules.of("brief"));
    assert_eq!((&*all.locale, &*all.time_zone), ("en", "Asia/Ho_Chi_Minh"));
    assert!(all.test_recipients.is_empty(), "nobody");
    assert_eq!((&*brief.locale, &*brief.time_zone), ("en", "Europe/Berlin"));
    let wanted = ["phone//+84912345678", "tg_chat/shop/42"];
    assert!(brief.test_recipients.iter().map(String::as_str).eq(wanted));
    let wrong = "locale = \"tiếng Việt\"\n[tenants.default]\ntime_zone = \"Hanoi\"\n\
                 test_recipients = [\"0912345678\", \"phone/0912345678\"]";
    let said = problems(wrong, &[]);
    for wanted in [
        "locale: must be a language tag",
        "tenants.default.time_zone: must be an IANA time zone",
        "tenants.default.test_recipients.0: must be type/scope/value",
        "tenants.default.test_recipients.1: a phone number must be in E.164 form",
    ] {
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn numbers_are_read_as_in_the_region_of_the_tenant() {
    let text = "identity.region = \"VN\"\n\
                accounts.shop = { channel = \"sms\", tenant = \"abroad\" }\naccounts.home = { channel = \"sms\", tenant = \"none\" }\n\
                [tenants.abroad.identity]\nregion = \"DE\"\n[tenants.none.identity]\nregion = \"\"";
    let rules = loaded(text, &[]).tenant_rules();
    let of = |tenant: &str| rules.of(tenant).region.clone();
    assert_eq!(
        (of("default").as_deref(), of("abroad").as_deref(), of("none")),
        (Some("VN"), Some("DE"), None)
    );
    assert_eq!(loaded("", &[]).tenant_rules().of("default").region, None);
    let said = problems("identity.region = \"Vietnam\"", &[]);
    assert!(said.contains("identity.region") && said.contains("ISO 3166"), "{said}");
}
