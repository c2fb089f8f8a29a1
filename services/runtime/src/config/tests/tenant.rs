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
