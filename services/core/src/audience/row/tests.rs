use super::*;

fn of(kind: &str, value: &str) -> Identifier {
    Identifier {
        r#type: kind.to_owned(),
        scope: String::new(),
        value: value.to_owned(),
    }
}

fn row(identifiers: &[(&str, &str)]) -> ImportRow {
    ImportRow {
        row: 1,
        identifiers: identifiers.iter().map(|(kind, value)| of(kind, value)).collect(),
        ..ImportRow::default()
    }
}

fn vietnamese() -> Rules {
    Rules {
        region: Some("VN".to_owned()),
        ..Rules::DEFAULT
    }
}

fn values(row: &ImportRow, rules: &Rules) -> Vec<String> {
    let checked = check(row, rules).unwrap();
    checked
        .identifiers
        .into_iter()
        .map(|(_, named)| named.identifier.value)
        .collect()
}

fn problem(row: &ImportRow) -> (String, &'static str) {
    let problem = check(row, &vietnamese()).unwrap_err();
    (problem.field, problem.reason.name())
}

#[test]
fn identifiers_are_canonical_ranked_and_once() {
    let given = row(&[
        ("email", "An@Example.VN"),
        ("phone", "0912 345 678"),
        ("phone", ""),
        ("phone", "+84912345678"),
        ("crm", "KH-1"),
    ]);
    assert_eq!(values(&given, &vietnamese()), ["KH-1", "+84912345678", "an@example.vn"]);
    let places: Vec<usize> = check(&given, &vietnamese())
        .unwrap()
        .identifiers
        .iter()
        .map(|(place, _)| *place)
        .collect();
    assert_eq!(places, [4, 1, 0]);
}

#[test]
fn national_numbers_need_the_region() {
    let given = row(&[("phone", "0912345678")]);
    assert_eq!(
        check(&given, &Rules::DEFAULT).unwrap_err().text,
        "without a region, a phone number must begin with + and a country code"
    );
    assert_eq!(values(&given, &vietnamese()), ["+84912345678"]);
    assert_eq!(
        problem(&row(&[("email", "a@b.vn"), ("phone", "09x")])),
        ("identifiers[1]".to_owned(), "FIELD_INVALID")
    );
}

#[test]
fn what_stands_for_nobody_is_no_identifier() {
    assert_eq!(problem(&row(&[("phone", " ")])), (String::new(), "NO_IDENTIFIER"));
    assert_eq!(
        problem(&row(&[("crm", "null")])),
        ("identifiers[0]".to_owned(), "IDENTIFIER_BLOCKED")
    );
    let mut rules = vietnamese();
    rules.blocked.block("phone", "+84912345678");
    let refused = check(&row(&[("phone", "0912345678")]), &rules).unwrap_err();
    assert_eq!(refused.reason, Reason::IdentifierBlocked);
}

#[test]
fn each_field_is_checked() {
    let with = |change: fn(&mut ImportRow)| {
        let mut row = row(&[("phone", "0912345678")]);
        change(&mut row);
        row
    };
    let variable = |row: &mut ImportRow, name: &str, value: &str| {
        row.variables.insert(name.to_owned(), value.to_owned());
    };
    let wrong: [(ImportRow, &str); 8] = [
        (with(|row| row.time_zone = "Asia/Saigonn".to_owned()), "time_zone"),
        (with(|row| row.locale = "tiếng Việt".to_owned()), "locale"),
        (with(|row| row.display_name = "x".repeat(257)), "display_name"),
        (with(|row| row.display_name = "a\u{7}".to_owned()), "display_name"),
        (
            {
                let mut row = with(|_| {});
                variable(&mut row, "1st", "x");
                row
            },
            "variables[1st]",
        ),
        (
            {
                let mut row = with(|_| {});
                variable(&mut row, "a", &"x".repeat(1025));
                row
            },
            "variables[a]",
        ),
        (
            {
                let mut row = with(|_| {});
                (0..51).for_each(|number| variable(&mut row, &format!("v{number}"), ""));
                row
            },
            "variables",
        ),
        (
            {
                let mut row = with(|_| {});
                (0..9).for_each(|number| variable(&mut row, &format!("v{number}"), &"x".repeat(1000)));
                row
            },
            "variables",
        ),
    ];
    for (row, field) in wrong {
        assert_eq!(problem(&row), (field.to_owned(), "FIELD_INVALID"));
    }
    let good = with(|row| {
        row.time_zone = "asia/ho_chi_minh".to_owned();
        row.locale = "vi-VN".to_owned();
        row.variables
            .insert("ten".to_owned(), "Nguye\u{302}\u{303}n".to_owned());
    });
    let said = check(&good, &vietnamese()).unwrap().said;
    assert_eq!(
        (said.time_zone.as_str(), said.variables["ten"].as_str()),
        ("Asia/Ho_Chi_Minh", "Nguyễn")
    );
}

#[test]
fn no_problem_repeats_the_row() {
    for (kind, value) in [
        ("phone", "secret"),
        ("phone", "+84secret"),
        ("email", "secret"),
        ("crm", &"secret".repeat(100)),
    ] {
        let refused = check(&row(&[(kind, value)]), &vietnamese()).unwrap_err();
        assert!(!format!("{refused:?}").contains("secret"), "{refused:?}");
    }
    let mut zone = row(&[("phone", "0912345678")]);
    zone.time_zone = "secret".to_owned();
    assert!(!format!("{:?}", check(&zone, &vietnamese()).unwrap_err()).contains("secret"));
}

#[test]
fn what_the_reader_found_is_the_rows_problem() {
    let unreadable = ImportRow {
        problem: "4 columns instead of 3".to_owned(),
        problem_field: "phone".to_owned(),
        ..ImportRow::default()
    };
    assert_eq!(problem(&unreadable), ("phone".to_owned(), "UNREADABLE"));
}
