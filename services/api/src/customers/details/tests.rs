use super::*;
use omnigate_core::details::{ValueType, text};
use omnigate_proto::v1::AttributeChange;

fn sets(name: &str, value: Option<AttributeValue>) -> UpdateCustomerRequest {
    let name = name.to_owned();
    UpdateCustomerRequest {
        set_attributes: vec![AttributeChange { name, value }],
        ..UpdateCustomerRequest::default()
    }
}

#[test]
fn what_cannot_be_is_refused_and_names_its_field() {
    let tags = |add: &[&str], remove: &[&str]| UpdateCustomerRequest {
        add_tags: add.iter().map(|tag| (*tag).to_owned()).collect(),
        remove_tags: remove.iter().map(|tag| (*tag).to_owned()).collect(),
        ..UpdateCustomerRequest::default()
    };
    let many: Vec<String> = (0..=MAX_NAMED).map(|number| number.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut both = sets("city", Some(text("Huế")));
    both.remove_attributes = vec!["city".into()];
    for (request, wants) in [
        (UpdateCustomerRequest::default(), "nothing is to be changed"),
        (sets("City", Some(text("Huế"))), "set_attributes: \"City\" must be"),
        (sets("city", None), "the value of \"city\" is missing"),
        (sets("city", Some(text(""))), "is empty; remove the attribute"),
        (sets("town", Some(text("Huế"))), "\"town\" is no configured attribute"),
        (both, "remove_attributes: \"city\" is named twice"),
        (tags(&["vip"], &["vip"]), "remove_tags: \"vip\" is named twice"),
        (tags(&[" "], &[]), "add_tags: \" \" must have"),
        (tags(&many, &[]), "add_tags: at most 100"),
    ] {
        let schema = Schema {
            attributes: [("city".to_owned(), ValueType::Text)].into(),
        };
        let problem = checked(&request, &schema).unwrap_err();
        assert!(problem.message.contains(wants), "{}", problem.message);
    }
}

#[test]
fn nobody_named_is_an_agent() {
    let change = checked(&sets("city", Some(text("Huế"))), &Schema::default()).unwrap();
    assert_eq!((change.source, change.set.len()), (DetailSource::Agent, 1));
}
