use super::*;

fn template(kind: ParamType) -> Template {
    Template {
        params: vec![TemplateParam {
            name: "p".to_owned(),
            kind,
            required: true,
        }],
        ..Template::samples().remove(0)
    }
}

fn code(kind: ParamType, value: &Value) -> i32 {
    let checked = template(kind).check(Some(&json!({"p": value, "unknown": "x"})));
    checked.map_or_else(|refused| refused.code, |()| 0)
}

#[test]
fn each_type_has_its_greatest_length() {
    for (kind, longest) in [
        (ParamType::Name, 30),
        (ParamType::Phone, 15),
        (ParamType::Address, 200),
        (ParamType::Code, 30),
        (ParamType::Label, 30),
        (ParamType::Status, 30),
        (ParamType::Contact, 50),
        (ParamType::Gender, 5),
        (ParamType::Product, 200),
        (ParamType::Amount, 20),
        (ParamType::Time, 20),
        (ParamType::Otp, 10),
        (ParamType::Currency, 12),
        (ParamType::BankNote, 90),
    ] {
        assert_eq!(code(kind, &json!("1".repeat(longest))), 0, "{kind:?}");
        assert_eq!(code(kind, &json!("1".repeat(longest + 1))), -1121, "{kind:?}");
    }
    let url = format!("https://{}", "a".repeat(192));
    assert_eq!(code(ParamType::Url, &json!(url)), 0);
    assert_eq!(code(ParamType::Url, &json!(format!("{url}a"))), -1121);
}

#[test]
fn characters_are_counted_not_bytes_and_decomposed_ones_are_more() {
    assert_eq!(code(ParamType::Name, &json!("ế".repeat(30))), 0);
    assert_eq!(code(ParamType::Name, &json!("e\u{302}\u{301}".repeat(30))), -1121);
}

#[test]
fn what_is_missing_or_of_the_wrong_form_is_told_apart() {
    let order = Template::samples().remove(0);
    let check = |data: Value| order.check(Some(&data)).map_or_else(|refused| refused.code, |()| 0);
    assert_eq!(
        check(json!({"customer_name": "Lan", "order_code": 12})),
        0,
        "numbers are seen"
    );
    assert_eq!(check(json!({"customer_name": "Lan"})), -1122);
    assert_eq!(check(json!({"customer_name": "Lan", "order_code": null})), -1122);
    assert_eq!(check(json!({"customer_name": "Lan", "order_code": ["a"]})), -1124);
    assert_eq!(check(json!({"customer_name": " ", "order_code": "a"})), -1124);
    assert_eq!(
        check(json!({"customer_name": "Lan", "order_code": "a", "note": ""})),
        0,
        "optional"
    );
    assert_eq!(check(json!({})), -111);
    assert_eq!(order.check(None).map_err(|refused| refused.code), Err(-111));
    for (kind, value) in [
        (ParamType::Phone, "không"),
        (ParamType::Otp, "12 34"),
        (ParamType::Currency, "100đ"),
        (ParamType::Url, "shop.example"),
        (ParamType::Name, "a\u{7}"),
    ] {
        assert_eq!(code(kind, &json!(value)), -1124, "{kind:?}");
    }
}
