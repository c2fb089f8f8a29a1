use super::*;
use crate::time::zone;
use omnigate_proto::v1::part::Content;
use omnigate_proto::v1::template_part::Content as Written;
use omnigate_proto::v1::template_variable::WhenMissing;
use omnigate_proto::v1::template_variant::Content as Variant;
use omnigate_proto::v1::{
    AttributeValue, Customer, CustomerAttribute, EmailTemplate, Message, Profile, ProviderTemplateUse, Purpose,
    RichTemplate, SmsTemplate, SourcedValue, TemplateChoice, TemplateDefinition, TemplatePart, TemplateText,
    TemplateVariable, TemplateVariableType as Type, TemplateVariant, TextFormat, attribute_value,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn variable(name: &str, kind: Type, default: Option<&str>) -> TemplateVariable {
    TemplateVariable {
        name: name.to_owned(),
        r#type: kind.into(),
        currency: if kind == Type::Money { "VND" } else { "" }.to_owned(),
        when_missing: Some(match default {
            Some(default) => WhenMissing::DefaultValue(default.to_owned()),
            None => WhenMissing::Required(true),
        }),
        ..TemplateVariable::default()
    }
}

fn sms(locale: &str, text: &str) -> TemplateVariant {
    let content = SmsTemplate {
        text: text.to_owned(),
        ..SmsTemplate::default()
    };
    variant(locale, "sms", Variant::Sms(content))
}

fn variant(locale: &str, channel: &str, content: Variant) -> TemplateVariant {
    TemplateVariant {
        locale: locale.to_owned(),
        channel: channel.to_owned(),
        content: Some(content),
    }
}

fn email(html: &str) -> TemplateVariant {
    let content = EmailTemplate {
        subject: "Đơn hàng của {{ name }}".to_owned(),
        html: html.to_owned(),
        text: "Chào {{ name }}".to_owned(),
    };
    variant("vi", "email", Variant::Email(content))
}

fn rich(texts: &[(&str, TextFormat)], provider: Option<ProviderTemplateUse>) -> RichTemplate {
    let part = |(text, format): &(&str, TextFormat)| TemplatePart {
        content: Some(Written::Text(TemplateText {
            text: (*text).to_owned(),
            format: (*format).into(),
        })),
    };
    RichTemplate {
        parts: texts.iter().map(part).collect(),
        provider_template: provider,
        ..RichTemplate::default()
    }
}

fn zns(phone: &str) -> ProviderTemplateUse {
    ProviderTemplateUse {
        template_id: "300001".to_owned(),
        parameters: [
            ("name".to_owned(), "{{ name }}".to_owned()),
            ("sum".to_owned(), " {{ total | number }} ".to_owned()),
        ]
        .into(),
        phone: phone.to_owned(),
        ..ProviderTemplateUse::default()
    }
}

/// With a variable of every type, all of them used.
fn definition(variants: Vec<TemplateVariant>) -> TemplateDefinition {
    TemplateDefinition {
        display_name: "Đơn đã gửi".to_owned(),
        purpose: Purpose::Service.into(),
        variables: vec![
            variable("name", Type::Text, None),
            variable("total", Type::Money, Some("0")),
            variable("points", Type::Number, Some("0")),
            variable("due", Type::Date, Some("2026-11-30")),
            variable("at", Type::DateTime, Some("2026-11-30T18:30:00Z")),
            variable("vip", Type::Boolean, Some("false")),
            variable("link", Type::Url, Some("https://shop.vn/")),
            variable("hotline", Type::Phone, Some("+84912345678")),
            variable("note", Type::Text, Some("")),
        ],
        variants,
    }
}

fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    pairs.collect()
}

fn mistakes(definition: &TemplateDefinition) -> Vec<String> {
    let told = check(definition).mistakes.into_iter();
    told.map(|one| format!("{} {} {}:{} {}", one.field, one.variant, one.line, one.column, one.text))
        .collect()
}

fn ready(definition: TemplateDefinition) -> Ready {
    assert_eq!(mistakes(&definition), [""; 0]);
    Ready::new(definition).unwrap()
}

fn rendered(ready: &Ready, channel: &str, pairs: &[(&str, &str)]) -> Result<Rendered, Refusal> {
    let recipient = Recipient {
        locale: "vi-VN",
        zone: &zone("Asia/Ho_Chi_Minh").unwrap(),
        values: &values(pairs),
    };
    ready.render(channel, recipient, "vi")
}

fn words(message: &Message) -> Vec<&str> {
    let words = message.parts.iter().filter_map(|part| match &part.content {
        Some(Content::Text(text)) => Some(text.text.as_str()),
        _ => None,
    });
    words.collect()
}

/// What an SMS says in a language, to An with these values.
fn says(locale: &str, text: &str, pairs: &[(&str, &str)]) -> String {
    let ready = ready(definition(vec![sms(locale, text)]));
    let values = values(&[pairs, &[("name", "Nguyễn Văn An")]].concat());
    let recipient = Recipient {
        locale,
        zone: &zone("Asia/Ho_Chi_Minh").unwrap(),
        values: &values,
    };
    let rendered = ready.render("sms", recipient, locale).unwrap();
    words(&rendered.message)[0].to_owned()
}

#[test]
fn values_print_as_vietnamese_has_them() {
    let given = [
        ("total", "1250000"),
        ("points", "-1234567.5"),
        ("link", "https://shop.vn/?a=1&b=2"),
    ];
    for (text, said) in [
        ("Chào {{ name }}!", "Chào Nguyễn Văn An!"),
        ("{{ total }}", "1.250.000 ₫"),
        ("{{ total | money(style='code') }}", "1.250.000 VND"),
        ("{{ total | number }}đ", "1.250.000đ"),
        ("{{ (total.amount * 0.1) | money('VND') }}", "125.000 ₫"),
        ("{{ (total.amount / 3) | round(2) | money('USD') }}", "416.666,67 US$"),
        ("{{ points }}", "-1234567.5"),
        ("{{ points | number }}", "-1.234.567,5"),
        ("{{ points | number(2) }}", "-1.234.567,50"),
        ("{{ points | round | number }}", "-1.234.568"),
        ("{{ 0.1 + 0.2 }}", "0.3"),
        ("{{ due }}", "30/11/2026"),
        ("{{ due | weekday }}, {{ due | date('%d/%m') }}", "Thứ Hai, 30/11"),
        ("{{ at }}", "01:30 01/12/2026"),
        (
            "{{ at | date }} {{ at | time }} {{ at | weekday }}",
            "01/12/2026 01:30 Thứ Ba",
        ),
        ("{{ at | time('%Hg%M') }}", "01g30"),
        ("{{ due.day }}-{{ at.hour }}", "30-1"),
        ("{{ hotline | phone }}", "0912 345 678"),
        ("{{ name | without_accents | upper }}", "NGUYEN VAN AN"),
        ("{{ name | upper }} {{ name | truncate(7) }}", "NGUYỄN VĂN AN Nguyễn…"),
        (
            "{{ link }} {{ name | urlencode }}",
            "https://shop.vn/?a=1&b=2 Nguy%E1%BB%85n%20V%C4%83n%20An",
        ),
        ("{{ note | default('không có') }}.", "không có."),
        ("{{ 'VIP' if vip else 'Thường' }}", "Thường"),
        ("{% if total.amount >= 1000000 %}Lớn{% else %}Nhỏ{% endif %}", "Lớn"),
        (
            "{% set who = name | trim %}{{ who }} {{ hotline[-3:] }}",
            "Nguyễn Văn An 678",
        ),
        ("<b>{{ name }}</b> & 'x'", "<b>Nguyễn Văn An</b> & 'x'"),
    ] {
        assert_eq!(says("vi", text, &given), said, "{text}");
    }
}

#[test]
fn values_print_as_other_languages_have_them() {
    let given = [("total", "1250000")];
    let text = "{{ total }} {{ due }} {{ at }} {{ due | weekday }}";
    assert_eq!(
        says("en", text, &given),
        "₫1,250,000 30 Nov 2026 1 Dec 2026, 01:30 Monday"
    );
    assert_eq!(
        says("th", text, &given),
        "1 250 000 ₫ 2026-11-30 2026-12-01 01:30 Monday"
    );
}

#[test]
fn times_are_those_of_the_recipient_also_when_clocks_are_changed() {
    let ready = ready(definition(vec![sms(
        "en",
        "{{ name }} {{ at | time }} {{ at | date('%d') }}",
    )]));
    let say = |name: &str, at: &str| {
        let values = values(&[("name", "An"), ("at", at)]);
        let recipient = Recipient {
            locale: "en",
            zone: &zone(name).unwrap(),
            values: &values,
        };
        words(&ready.render("sms", recipient, "").unwrap().message)[0].to_owned()
    };
    assert_eq!(say("Asia/Ho_Chi_Minh", "2026-03-29T00:30:00Z"), "An 07:30 29");
    assert_eq!(say("Europe/Berlin", "2026-03-29T00:30:00Z"), "An 01:30 29");
    assert_eq!(say("Europe/Berlin", "2026-03-29T01:30:00Z"), "An 03:30 29");
    assert_eq!(say("America/New_York", "2026-03-29T01:30:00+07:00"), "An 14:30 28");
}

#[test]
fn an_empty_greeting_is_never_sent() {
    let ready = ready(definition(vec![sms("vi", "Chào {{ name }}"), email("{{ total }}")]));
    for missing in [&[][..], &[("name", "")], &[("name", " \n")], &[("title", "An")]] {
        let refused = rendered(&ready, "sms", missing).unwrap_err();
        assert_eq!((refused.reason(), refused.variable()), ("MISSING_DATA", "name"));
        assert_eq!(refused.to_string(), "\"name\" is required and not known");
    }
    let refused = rendered(&ready, "email", &[("name", "An"), ("total", "1.250.000")]).unwrap_err();
    assert_eq!((refused.reason(), refused.variable()), ("INVALID_DATA", "total"));
    assert!(!refused.to_string().contains("1.250.000"), "{refused}");
    // What a variant does not use it does not need.
    let bad = [("name", "An"), ("total", "x")];
    assert_eq!(words(&rendered(&ready, "sms", &bad).unwrap().message), ["Chào An"]);
}

#[test]
fn the_variant_of_the_nearest_language_is_said_or_none() {
    let ready = ready(definition(vec![
        sms("en", "Hi {{ name }}"),
        sms("vi", "Chào {{ name }}"),
    ]));
    let said = |locale: &str, default: &str, channel: &str| {
        let values = values(&[("name", "An")]);
        let recipient = Recipient {
            locale,
            zone: &zone("UTC").unwrap(),
            values: &values,
        };
        ready.render(channel, recipient, default).map(|said| said.variant)
    };
    assert_eq!((said("en-US", "vi", "sms"), said("th", "vi-VN", "sms")), (Ok(0), Ok(1)));
    assert_eq!(said("th", "ja", "sms").unwrap_err().reason(), "NO_VARIANT");
    assert_eq!(said("vi", "vi", "zalo").unwrap_err().reason(), "NO_VARIANT");
}

#[test]
fn html_is_escaped_and_plain_text_is_not() {
    let html = "<p title=\"{{ name }}\">{{ name }} {{ total }} <a href='{{ link }}'>x</a></p>";
    let zalo = rich(
        &[
            ("{{ name }}", TextFormat::Plain),
            ("<b>{{ name }}</b>", TextFormat::Html),
        ],
        None,
    );
    let ready = ready(definition(vec![
        email(html),
        variant("vi", "telegram", Variant::Rich(zalo)),
    ]));
    let given = [
        ("name", "<An> & \"B'"),
        ("link", "https://x.vn/?a=1&b='2"),
        ("total", "5"),
    ];
    let mail = rendered(&ready, "email", &given).unwrap().message;
    assert_eq!(mail.subject, "Đơn hàng của <An> & \"B'");
    let escaped = "&lt;An&gt; &amp; &quot;B&#x27;";
    assert_eq!(
        words(&mail),
        [
            "Chào <An> & \"B'",
            &format!(
                "<p title=\"{escaped}\">{escaped} 5 ₫ <a href='https:&#x2f;&#x2f;x.vn&#x2f;?a=1&amp;b=&#x27;2'>x</a></p>"
            ),
        ]
    );
    let chat = rendered(&ready, "telegram", &given).unwrap().message;
    assert_eq!(words(&chat), ["<An> & \"B'", &format!("<b>{escaped}</b>")]);
}

#[test]
fn a_subject_is_one_line_whatever_is_filled_in() {
    let ready = ready(definition(vec![email("{{ name }}")]));
    let mail = rendered(&ready, "email", &[("name", "An\r\nBcc: all@example.vn")])
        .unwrap()
        .message;
    assert_eq!(mail.subject, "Đơn hàng của An Bcc: all@example.vn");
}

#[test]
fn an_sms_is_bounded_and_written_without_accents_when_asked() {
    let content = SmsTemplate {
        text: "Chào {{ name }}, đơn {{ total }}".to_owned(),
        without_accents: true,
        max_segments: 1,
    };
    let ready = ready(definition(vec![variant("vi", "sms", Variant::Sms(content))]));
    let said = rendered(&ready, "sms", &[("name", "Ngọc"), ("total", "50000")]).unwrap();
    assert_eq!(words(&said.message), ["Chao Ngoc, don 50.000 d"]);
    assert_eq!(said.plan.unwrap().segments.len(), 1);
    assert_eq!(said.message.purpose(), Purpose::Service);
    let refused = rendered(&ready, "sms", &[("name", &"x".repeat(150))]).unwrap_err();
    assert_eq!(refused.reason(), "TOO_LONG");
    assert_eq!(
        refused.to_string(),
        "the text takes 2 SMS segments; at most 1 are allowed"
    );
}

#[test]
fn a_providers_template_is_filled_in_alone_or_beside_the_words() {
    let alone = rich(&[], Some(zns("")));
    let mut beside = rich(
        &[
            ("Chào {{ name }}", TextFormat::Plain),
            ("{% if vip %}VIP{% endif %}", TextFormat::Plain),
        ],
        Some(zns("{{ hotline }}")),
    );
    let choice = |label: &str| TemplateChoice {
        label: label.to_owned(),
        url: "{{ link }}?q={{ name | urlencode }}".to_owned(),
        ..TemplateChoice::default()
    };
    beside.choices = vec![choice("Xem {{ total }}"), choice("{{ 'VIP' if vip else '' }}")];
    let ready = ready(definition(vec![
        variant("vi", "zalo", Variant::Rich(beside)),
        variant("vi", "whatsapp", Variant::Rich(alone)),
    ]));
    let given = [("name", "An Bình"), ("total", "1250000")];
    let parameters = values(&[("name", "An Bình"), ("sum", "1.250.000")]);
    let message = rendered(&ready, "whatsapp", &given).unwrap().message;
    let Some(Content::Template(template)) = &message.parts[0].content else {
        panic!("{message:?}");
    };
    assert_eq!(
        (template.template_id.as_str(), &template.parameters),
        ("300001", &parameters)
    );
    let message = rendered(&ready, "zalo", &given).unwrap().message;
    assert_eq!(
        words(&message),
        ["Chào An Bình"],
        "a part that is blank for somebody is left out"
    );
    assert_eq!(message.choices.len(), 1);
    assert_eq!(message.choices[0].label, "Xem 1.250.000 ₫");
    assert_eq!(message.choices[0].url, "https://shop.vn/?q=An%20B%C3%ACnh");
    let alternative = message.alternative.unwrap();
    assert_eq!(alternative.phone, "+84912345678");
    assert_eq!(alternative.template.unwrap().parameters, parameters);
}

#[test]
fn the_same_content_has_the_same_hash() {
    let say = |text: &str, name: &str| {
        let ready = ready(definition(vec![sms("vi", text)]));
        rendered(&ready, "sms", &[("name", name)]).unwrap().hash
    };
    assert_eq!(say("Chào {{ name }}", "An"), say("Chào {{ name | trim }}", "An"));
    assert_ne!(say("Chào {{ name }}", "An"), say("Chào {{ name }}", "Bình"));
    let mut advertising = definition(vec![sms("vi", "Chào {{ name }}")]);
    advertising.purpose = Purpose::Marketing.into();
    let advertising = rendered(&ready(advertising), "sms", &[("name", "An")]).unwrap();
    assert_eq!(advertising.message.purpose(), Purpose::Marketing);
    assert_ne!(advertising.hash, say("Chào {{ name }}", "An"));
}

#[test]
fn mistakes_are_told_where_they_stand() {
    let mut wrong = definition(vec![
        sms("vi", "Chào\n{{ names }}"),
        email("<p>{{ name | money }}</p>"),
        variant("en_GB", "SMS", Variant::Sms(SmsTemplate::default())),
        sms("VI", ""),
    ]);
    wrong.display_name.clear();
    wrong.purpose = 0;
    wrong.variables.push(variable("name", Type::Number, Some("1,5")));
    wrong.variables.push(variable("Hạn", Type::Text, None));
    let mut neither = variable("x", Type::Money, None);
    neither.when_missing = None;
    neither.currency = "đồng".to_owned();
    wrong.variables.push(neither);
    let told = mistakes(&wrong);
    for expected in [
        "display_name  0:0 must have",
        "purpose  0:0 must be SERVICE or MARKETING",
        "variables[9].name  0:0 \"name\" is there twice",
        "variables[9].default_value  0:0 must be digits",
        "variables[10].name  0:0",
        "variables[11].currency  0:0 must be three letters",
        "variables[11]  0:0 needs `required` or `default_value`",
        "variants[0].sms.text vi/sms 2:4 there is no variable \"names\"; did you mean \"name\"?",
        "variants[2].locale  0:0 must be a language tag",
        "variants[2].channel  0:0 must be 1 to 64",
        "variants[2]  0:0 must be `sms` on sms",
        "variants[3]  0:0 VI on sms is there twice",
        "variants[3].sms.text  0:0 is empty",
    ] {
        assert!(
            told.iter().any(|one| one.starts_with(expected)),
            "{expected}: {told:#?}"
        );
    }
}

#[test]
fn what_fails_for_everybody_is_found_before_it_is_sent() {
    for (text, told) in [
        (
            "Giá: {{ name | money }}",
            "1:16 with sample values: `money` wants an amount",
        ),
        ("{{ due | time }}", "1:10 with sample values: `time` wants a date_time"),
        ("{{ due.hour }}", "with sample values"),
        ("{{ at | date('%A') }}", "a pattern has %d"),
        ("{{ total | money('USD') }}", "`money` changes no currency"),
        ("{{ [name] }}", "a list cannot be printed"),
        ("{{ total + 1 }}", "with sample values"),
        ("{{ name * 100000 }}", "with sample values"),
        ("{{ none }}", "there is nothing to print"),
    ] {
        let told_of = mistakes(&definition(vec![sms("vi", text)]));
        assert!(told_of.len() == 1 && told_of[0].contains(told), "{text}: {told_of:?}");
    }
}

#[test]
fn what_is_odd_and_no_mistake_is_a_warning() {
    let content = SmsTemplate {
        text: format!("{{{{ name }}}} {}", "x".repeat(200)),
        without_accents: false,
        max_segments: 1,
    };
    let checked = check(&definition(vec![variant("vi", "sms", Variant::Sms(content))]));
    assert_eq!(checked.mistakes, []);
    let told: Vec<&str> = checked.warnings.iter().map(|one| one.text.as_str()).collect();
    assert!(told[0].contains("at most 1 are allowed"), "{told:?}");
    assert!(
        told.contains(&"no text uses \"total\"") && !told.contains(&"no text uses \"name\""),
        "{told:?}"
    );
}

#[test]
fn samples_fill_in_what_is_missing_and_nothing_else() {
    let mut with_sample = definition(vec![sms("vi", "{{ name }}")]);
    with_sample.variables[1].sample = "99000".to_owned();
    let filled = ready(with_sample).with_samples(&values(&[("points", "7"), ("name", " ")]));
    assert_eq!(
        filled,
        values(&[("name", "Nguyễn Văn An"), ("points", "7"), ("total", "99000")])
    );
}

#[test]
fn a_customer_brings_name_and_attributes() {
    let attribute = |name: &str, kind: attribute_value::Kind| CustomerAttribute {
        name: name.to_owned(),
        standing: Some(SourcedValue {
            value: Some(AttributeValue { kind: Some(kind) }),
            ..SourcedValue::default()
        }),
        ..CustomerAttribute::default()
    };
    let customer = Customer {
        profile: Some(Profile {
            display_name: "An".to_owned(),
            ..Profile::default()
        }),
        attributes: vec![
            attribute("city", attribute_value::Kind::Text("Huế".to_owned())),
            attribute("points", attribute_value::Kind::Number(1250.0)),
            attribute("rate", attribute_value::Kind::Number(0.1)),
            attribute("vip", attribute_value::Kind::Flag(true)),
            attribute(
                "since",
                attribute_value::Kind::Time(crate::time::Moment(1_800_000_000_000).to_timestamp()),
            ),
        ],
        ..Customer::default()
    };
    let known = values(&[
        ("city", "Huế"),
        ("display_name", "An"),
        ("points", "1250"),
        ("rate", "0.1"),
        ("since", "2027-01-15T08:00:00Z"),
        ("vip", "true"),
    ]);
    assert_eq!(values_of(&customer), known);
}

#[test]
fn no_text_grows_or_runs_without_bound() {
    let doubled = format!("{{% set a0 = name %}}{}{{{{ a30 }}}}", {
        let doubling = (1..=30).map(|n| format!("{{% set a{n} = a{} ~ a{} %}}", n - 1, n - 1));
        doubling.collect::<String>()
    });
    let replaced = format!("{{{{ name{} }}}}", " | replace('n', 'nnnnnnnnnn')".repeat(20));
    let repeated = "{{ name }}".repeat(6_000);
    let long = "{{ name }}".repeat(17);
    let takes_work = "takes too much work";
    for (text, problem) in [
        (&doubled, takes_work),
        (&replaced, takes_work),
        (&repeated, "is longer than 65536 bytes"),
        (&long, "is longer than 65536 bytes"),
    ] {
        let mut bounded = definition(vec![email(text)]);
        bounded.variables.truncate(1);
        let ready = Ready::new(bounded).unwrap();
        let refused = rendered(&ready, "email", &[("name", &"n".repeat(4_000))]).unwrap_err();
        assert_eq!(refused.reason(), "NOT_RENDERED", "{refused}");
        assert!(refused.to_string().ends_with(problem), "{refused}");
        assert!(!refused.to_string().contains("nnnn"), "{refused}");
    }
}

/// Something that looks like a template now and then.
fn source() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[ -~]{0,8}",
        2 => "\\PC{0,4}",
        6 => prop::sample::select(vec![
            "{{", "}}", "{%", "%}", "{#", "#}", "{{-", "-%}", " name ", " total ", " due ", " at ", " points ", " vip ",
            " if ", " else ", " elif ", " endif ", " set ", " x ", " = ", " ~ ", " + ", " * ", " ** ", " // ", " % ", " | ",
            "(", ")", "[", "]", ":", ",", ".", "'", "\"", "1", "999999999999999999999", "-1", "0", "0.5", "\n", " not ",
            " and ", " or ", " in ", " is ", " none ", " true ", " for ", " raw ", " endraw ", "money", "number", "date",
            "truncate(", "round(", "replace(", "default(", "urlencode", "weekday", "time", ".amount", ".year", "'%d'",
            "style='code'",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Filters as they are called.
const CALLS: &[&str] = &[
    "abs",
    "capitalize",
    "date",
    "date('%d.%m')",
    "default('x')",
    "length",
    "lower",
    "money",
    "money('USD')",
    "money('VND', style='code')",
    "number",
    "number(3)",
    "phone",
    "replace('a', 'bb')",
    "round",
    "round(3)",
    "time",
    "title",
    "trim",
    "truncate(3)",
    "upper",
    "urlencode",
    "weekday",
    "without_accents",
];

/// A template of expressions that mostly can be worked out.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "name",
        "note",
        "total",
        "total.amount",
        "points",
        "due",
        "due.year",
        "at",
        "at.hour",
        "vip",
        "link",
        "hotline",
        "1",
        "-7",
        "0.25",
        "'a'",
        "''",
        "true",
        "none",
        "[1, 'a']",
    ]);
    let leaf = leaf.prop_map(str::to_owned);
    leaf.prop_recursive(5, 40, 3, |inner| {
        let operator = prop::sample::select(vec![
            "+", "-", "*", "/", "//", "%", "**", "~", "==", "<", "and", "or", "in",
        ]);
        let filter = prop::sample::select(CALLS);
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(left, operator, right)| format!("({left} {operator} {right})")),
            (inner.clone(), filter).prop_map(|(input, filter)| format!("({input}) | {filter}")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("({a} if {b} else {c})")),
            (inner, -3..3_i32).prop_map(|(input, at)| format!("({input})[{at}:]")),
        ]
    })
}

/// Renders whatever of it can be made ready, twice: it is bounded and comes to the same.
fn holds(text: &str, name: &str) -> Result<(), TestCaseError> {
    let tried = definition(vec![sms("vi", text), email(text)]);
    let checked = check(&tried);
    let Ok(ready) = Ready::new(tried) else {
        prop_assert!(!checked.mistakes.is_empty(), "{text:?}");
        return Ok(());
    };
    for channel in ["sms", "email"] {
        let once = rendered(&ready, channel, &[("name", name), ("points", "-3")]);
        prop_assert_eq!(&once, &rendered(&ready, channel, &[("name", name), ("points", "-3")]));
        match once {
            Ok(said) => {
                let bounded = words(&said.message).iter().all(|text| text.len() <= MAX_TEXT);
                prop_assert!(bounded);
                let escaped = said.message.parts.iter().all(|part| match &part.content {
                    Some(Content::Text(text)) => text.format() != TextFormat::Html || !text.text.contains("<&>"),
                    _ => true,
                });
                // What the text itself has is its author's.
                prop_assert!(escaped || text.contains('<'));
            }
            Err(refusal) => prop_assert!(!refusal.reason().is_empty()),
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_a_template_or_a_mistake(text in source(), name in "\\PC{0,6}|<&>") {
        holds(&text, &name)?;
    }

    #[test]
    fn any_expression_says_something_or_is_refused(text in expression(), name in "\\PC{1,6}|<&>") {
        holds(&format!("{{{{ {text} }}}}"), &name)?;
    }

    #[test]
    fn any_value_is_of_its_type_or_is_refused(pairs in prop::collection::vec(("[a-z]{2,7}|name|total|points|due|at|vip|link|hotline|note", "[-+0-9.:TZ/a-z ]{0,24}|\\PC{0,12}"), 0..9)) {
        let every = "{{ name }} {{ total }} {{ points }} {{ due }} {{ at }} {{ vip }} {{ link }} {{ hotline | phone }} {{ note }}";
        let ready = Ready::new(definition(vec![sms("vi", every)])).unwrap();
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if let Err(refused) = rendered(&ready, "sms", &pairs) {
            prop_assert!(["MISSING_DATA", "INVALID_DATA"].contains(&refused.reason()), "{}", refused);
        }
    }

    #[test]
    fn any_definition_is_checked_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        use prost::Message as _;
        if let Ok(any) = TemplateDefinition::decode(&bytes[..]) {
            drop(check(&any));
        }
    }
}
