use super::*;
use crate::details::ValueType;
use omnigate_proto::v1::attribute_value::Kind;
use omnigate_proto::v1::{
    AttributeValue, CustomerAttribute, CustomerIdentifier, CustomerTag, Evidence, Identifier, Profile, SourcedValue,
    Thread,
};

const NOW: Moment = Moment(1_800_000_000_000);

fn attribute(name: &str, kind: Kind) -> CustomerAttribute {
    CustomerAttribute {
        name: name.into(),
        standing: Some(SourcedValue {
            value: Some(AttributeValue { kind: Some(kind) }),
            ..SourcedValue::default()
        }),
        others: Vec::new(),
    }
}

fn lan() -> Customer {
    Customer {
        customer_id: "cus_1".into(),
        profile: Some(Profile {
            display_name: "Lan Nguyễn".into(),
            locale: "vi".into(),
            ..Profile::default()
        }),
        identifiers: vec![CustomerIdentifier {
            identifier: Some(Identifier {
                r#type: "phone".into(),
                scope: String::new(),
                value: "+84900000001".into(),
            }),
            evidence: Evidence::Vouched.into(),
            ..CustomerIdentifier::default()
        }],
        threads: vec![Thread {
            channel: "zalo".into(),
            account_id: "oa".into(),
            reachable: true,
            ..Thread::default()
        }],
        created_at: Some(Moment(NOW.0 - 3_600_000).to_timestamp()),
        entry_count: 7,
        attributes: vec![
            attribute("city", Kind::Text("Huế".into())),
            attribute("age", Kind::Number(40.0)),
            attribute("member", Kind::Flag(true)),
            attribute("born", Kind::Time(Moment(86_400_000).to_timestamp())),
        ],
        tags: vec![CustomerTag {
            name: "vip".into(),
            ..CustomerTag::default()
        }],
        ..Customer::default()
    }
}

fn holds(source: &str) -> bool {
    let filter = Filter::new(source, &Schema::default()).unwrap_or_else(|wrong| panic!("{source}: {wrong}"));
    filter.holds(&lan(), NOW)
}

fn refused(source: &str, schema: &Schema) -> String {
    match Filter::new(source, schema) {
        Ok(_) => panic!("{source} must be refused"),
        Err(wrong) => wrong.to_string(),
    }
}

#[test]
fn conditions_that_hold() {
    for source in [
        "true",
        "customer.entry_count > 5 && customer.entry_count < 8",
        "'vip' in customer.tags",
        "customer.tags.exists(t, t.startsWith('v'))",
        "customer.tags.exists_one(t, t == 'vip') && customer.tags.all(t, size(t) == 3)",
        "customer.identifiers.exists(i, i.type == 'phone' && i.value.startsWith('+84') && i.evidence == 'VOUCHED')",
        "customer.display_name.contains('Nguyễn') && customer.locale == 'vi'",
        // Written in two signs.
        "customer.attributes.city == 'Hue\u{302}\u{301}'",
        "customer.channels == ['zalo'] && 'oa' in customer.accounts && customer.reachable",
        "customer.attributes.city == 'Huế' && customer.attributes.age >= 18.0 && customer.attributes.age >= 18",
        "customer.attributes['city'] in ['Huế', 'Vinh']",
        "customer.attributes.member ? has(customer.attributes.age) : false",
        "customer.attributes.born < timestamp('1970-01-03T00:00:00Z')",
        "'city' in customer.attributes && size(customer.attributes) == 4",
        "now - customer.created_at == duration('1h')",
        "customer.created_at > now - duration('24h30m')",
        "customer.created_at >= timestamp('2027-01-15T07:00:00Z')",
        "customer.last_inbound_at == timestamp('1970-01-01T00:00:00Z')",
        "!has(customer.attributes.country) && customer.id == 'cus_1' && size(customer.merged) == 0",
        "customer.attributes.country == 'VN' || true",
    ] {
        assert!(holds(source), "{source}");
    }
}

#[test]
fn what_the_customer_does_not_have_leaves_them_out() {
    for source in [
        "customer.attributes.country == 'VN'",
        "customer.attributes.country != 'VN'",
        "customer.attributes.city + customer.attributes.age == ''",
        "customer.attributes.city > 5",
        "customer.entry_count / (customer.entry_count - 7) > 0",
        "customer.entry_count * 9223372036854775807 > 0",
        "customer.tags[7] == ''",
        "customer.attributes.city",
    ] {
        assert!(!holds(source), "{source}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_the_nearest_name() {
    for (source, wants) in [
        (
            "customer.tgas.size() > 0",
            "line 1, column 9: unknown field of a customer \"tgas\"; did you mean \"tags\"?",
        ),
        (
            "true &&\n custom.reachable",
            "line 2, column 2: unknown name \"custom\"; did you mean \"customer\"?",
        ),
        (
            "'vip' in tags",
            "line 1, column 10: unknown name \"tags\"; did you mean \"customer.tags\"?",
        ),
        ("bogus == 1", "unknown name \"bogus\"; known: customer, now"),
        (
            "customer.identifiers.exists(i, i.values == '')",
            "did you mean \"value\"?",
        ),
        ("customer.entry_count", "the expression must be bool, not int"),
        (
            "customer.entry_count == 'five'",
            "\"==\" cannot be applied to (int, string)",
        ),
        ("customer.created_at > 5", "\">\" cannot be applied to (timestamp, int)"),
        (
            "customer.reachable && customer.tags",
            "cannot be applied to (bool, list(string))",
        ),
        ("customer == customer", "cannot be applied to (customer, customer)"),
        (
            "size(customer.tags.filter(t, t == 'x')) > 0",
            "use exists, exists_one or all",
        ),
        (
            "customer.tags.map(t, t) == customer.tags",
            "use exists, exists_one or all",
        ),
        (
            "customer.tags.exists(t, customer.channels.exists(c, c == t))",
            "cannot be inside another one",
        ),
        ("customer.display_name.matches('.*')", "\"matches\" cannot be applied"),
        ("customer.created_at > timestamp('yesterday')", "is no time such as"),
        (
            "customer.created_at > timestamp(customer.locale)",
            "timestamp takes one literal text",
        ),
        ("now - customer.created_at > duration('1 day')", "is no span of time"),
        ("b'x' == b'x'", "bytes, null and unsigned numbers are not supported"),
        ("{'a': 1} == {'a': 1}", "maps and messages are not supported"),
        ("customer.reachable &&", "line 1"),
        ("customer.tags.exists(t, t == 'vip'", "line 1"),
    ] {
        let told = refused(source, &Schema::default());
        assert!(told.contains(wants), "{source}: {told}");
    }
}

#[test]
fn configured_attributes_have_types_and_others_are_unknown() {
    let schema = Schema {
        attributes: [
            ("city".to_owned(), ValueType::Text),
            ("age".to_owned(), ValueType::Number),
        ]
        .into(),
    };
    let told = refused("customer.attributes.ctiy == 'Huế'", &schema);
    assert!(
        told.contains("unknown attribute \"ctiy\"; did you mean \"city\"?"),
        "{told}"
    );
    let told = refused("customer.attributes['ctiy'] == 'Huế'", &schema);
    assert!(told.contains("unknown attribute"), "{told}");
    let told = refused("customer.attributes.age == 'x'", &schema);
    assert!(told.contains("(double, string)"), "{told}");
    assert!(
        Filter::new("customer.attributes.age + 1.5 > 20", &schema)
            .unwrap()
            .holds(&lan(), NOW)
    );
}

#[test]
fn work_is_bounded() {
    let long = format!("true || '{}' == ''", "x".repeat(MAX_LENGTH));
    assert!(refused(&long, &Schema::default()).contains("at most 4096 bytes"));
    let walks = ["customer.tags.exists(t, t == 'x')"; 9].join(" || ");
    assert!(refused(&walks, &Schema::default()).contains("at most 8 walks"));
    let wide = vec!["customer.reachable"; 185].join(" && ");
    assert!(wide.len() < MAX_LENGTH && holds(&wide));
    let sum = vec!["1"; 30].join(" + ");
    assert!(refused(&format!("{sum} == 30"), &Schema::default()).contains("nested too deeply"));
}

/// A stack that overflows would end the whole process: half of what a worker has must do, in a build without optimisation.
#[test]
fn no_nesting_overflows_the_stack() {
    for count in [8, 15, 16, 17, 40, 300, 1300, 4000] {
        let of = |text: &str| text.repeat(count);
        let shapes = [
            format!("{}true", of("!")),
            format!("{}1 == 1", of("-")),
            format!("{}true{}", of("("), of(")")),
            format!("{}1{} == 1", of("["), of("]")),
            format!("{}true{}", of("size("), of(")")),
            format!("customer{}", of(".tags")),
            format!("1{} == 1", of("+1")),
            format!("true{}", of("&&true")),
            format!("true{}", of("==true")),
            format!("{}true", of("true?true:")),
            format!("customer.tags{}", of("[0]")),
            format!("{}true{}", of("{1:"), of("}")),
            format!("{}true{}", of("customer.tags.exists(t,"), of(")")),
            of("("),
            of("["),
            of("a("),
            of(")"),
        ];
        for shape in shapes.into_iter().filter(|shape| shape.len() <= MAX_LENGTH) {
            let run = move || drop(Filter::new(&shape, &Schema::default()).map(|filter| filter.holds(&lan(), NOW)));
            let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(run);
            thread.unwrap().join().unwrap();
        }
    }
}
