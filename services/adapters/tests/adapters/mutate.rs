//! Changes JSON in one place at a time.

use serde_json::{Value, json};

/// Way to a value: keys and indexes as JSON pointers have them.
pub(crate) fn paths(value: &Value) -> Vec<String> {
    let mut found = vec![String::new()];
    collect(value, "", &mut found);
    found
}

fn collect(value: &Value, path: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        let path = format!("{path}/{key}");
        found.push(path.clone());
        collect(child, &path, found);
    }
}

/// The value with another one in one place.
pub(crate) fn replaced(value: &Value, path: &str, with: &Value) -> Value {
    let mut copy = value.clone();
    *copy.pointer_mut(path).unwrap() = with.clone();
    copy
}

/// The value with an unknown, large field in each of its objects, one object at a time.
pub(crate) fn with_unknown_fields(value: &Value) -> Vec<Value> {
    let large = json!({ "text": "x".repeat(70_000), "list": [1, 2.5, null, { "deep": [[[true]]] }] });
    let objects = paths(value).into_iter();
    objects
        .filter(|path| value.pointer(path).unwrap().is_object())
        .map(|path| {
            let mut copy = value.clone();
            let object = copy.pointer_mut(&path).unwrap().as_object_mut().unwrap();
            // Sorts behind every real name.
            object.insert("zz_unknown".to_owned(), large.clone());
            copy
        })
        .collect()
}

/// Values of every type, to put where another is expected.
pub(crate) fn strangers() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(""),
        json!("stranger"),
        json!("e\u{301}\u{0}\u{202e}"),
        json!([]),
        json!([1, "a", null, {}]),
        json!({}),
        json!({ "id": "x" }),
    ]
}
