use super::*;

fn set(name: &str, value: &str, source: DetailSource, at: i64) -> Change {
    Change {
        set: vec![(name.into(), text(value))],
        source,
        at: Moment(at),
        ..Change::default()
    }
}

fn removal(name: &str, at: i64) -> Change {
    Change {
        remove: vec![name.into()],
        at: Moment(at),
        ..Change::default()
    }
}

fn tagged_by(tag: &str, at: i64) -> Change {
    Change {
        add_tags: vec![tag.into()],
        source: DetailSource::Agent,
        at: Moment(at),
        ..Change::default()
    }
}

fn after(record: &DetailsRecord, changes: &[Change]) -> DetailsRecord {
    changes.iter().fold(record.clone(), |record, change| {
        apply(&record, "t", change).unwrap().unwrap_or(record)
    })
}

fn standing(records: &[&DetailsRecord]) -> Vec<(String, AttributeValue, usize)> {
    let attributes = attributes(records.iter().copied()).into_iter();
    let shown = attributes.map(|attribute| {
        let value = attribute.standing.unwrap().value.unwrap();
        (attribute.name, value, attribute.others.len())
    });
    shown.collect()
}

#[test]
fn the_better_source_stands_then_the_newer_value() {
    use DetailSource::{Agent, Authoritative, ChannelStated, ChannelVerified, Import};
    let order = [Import, ChannelStated, ChannelVerified, Agent, Authoritative];
    for (number, better) in order.into_iter().enumerate() {
        for worse in order.into_iter().take(number) {
            let record = after(
                &DetailsRecord::default(),
                &[set("city", "better", better, 10), set("city", "worse", worse, 20)],
            );
            let shown = &standing(&[&record])[0];
            let wins = if rank(better.into()) == rank(worse.into()) {
                "worse"
            } else {
                "better"
            };
            assert_eq!((&shown.1, shown.2), (&text(wins), 1), "{better:?} over {worse:?}");
        }
    }
    let newer = after(
        &DetailsRecord::default(),
        &[set("city", "Huế", Agent, 10), set("city", "Hà Nội", Agent, 20)],
    );
    assert_eq!(standing(&[&newer])[0].1, text("Hà Nội"));
}

#[test]
fn the_same_command_changes_a_record_once_and_older_ones_bring_nothing_back() {
    let first = set("city", "Huế", DetailSource::Agent, 10);
    let record = after(
        &DetailsRecord::default(),
        &[first.clone(), set("city", "Vinh", DetailSource::Agent, 20)],
    );
    assert_eq!(apply(&record, "t", &first), Ok(None), "repeated");
    let gone = after(&record, &[removal("city", 30)]);
    assert_eq!(standing(&[&gone]), []);
    assert_eq!(apply(&gone, "t", &first), Ok(None), "repeated after the removal");
    let back = after(
        &gone,
        &[set("city", "Vinh", DetailSource::Agent, 40), removal("city", 30)],
    );
    assert_eq!(standing(&[&back]).len(), 1, "a repeated removal takes what came later");
    let tags = after(&DetailsRecord::default(), &[tagged_by("vip", 10)]);
    let take_back = Change {
        remove_tags: vec!["vip".into()],
        at: Moment(20),
        ..Change::default()
    };
    let without = after(&tags, std::slice::from_ref(&take_back));
    assert_eq!(super::tags([&without]), []);
    assert_eq!(apply(&without, "t", &tagged_by("vip", 10)), Ok(None));
    let again = after(&without, &[tagged_by("vip", 30), take_back]);
    assert_eq!(super::tags([&again]).len(), 1);
}

#[test]
fn history_is_bounded_and_keeps_what_stands() {
    let mut record = after(
        &DetailsRecord::default(),
        &[set("city", "of record", DetailSource::Authoritative, 1)],
    );
    let first = set("city", "2", DetailSource::Agent, 2);
    for at in 2..40 {
        record = after(&record, &[set("city", &at.to_string(), DetailSource::Agent, at)]);
    }
    assert_eq!(standing(&[&record]), [("city".into(), text("of record"), MAX_OTHERS)]);
    assert_eq!(apply(&record, "t", &first), Ok(None), "forgotten and repeated");
}

#[test]
fn customers_that_became_one_keep_what_both_had() {
    let older = after(
        &DetailsRecord::default(),
        &[
            set("city", "Huế", DetailSource::Agent, 10),
            tagged_by("vip", 20),
            tagged_by("b2b", 20),
        ],
    );
    let younger = after(
        &DetailsRecord::default(),
        &[
            set("city", "Vinh", DetailSource::Authoritative, 5),
            set("age", "40", DetailSource::Import, 5),
            tagged_by("vip", 11),
        ],
    );
    for both in [[&older, &younger], [&younger, &older]] {
        assert_eq!(
            standing(&both),
            [("age".into(), text("40"), 0), ("city".into(), text("Vinh"), 1)]
        );
        let tags = super::tags(both);
        let tags: Vec<(&str, i64)> = tags
            .iter()
            .map(|tag| (tag.name.as_str(), Moment::from_timestamp(tag.at.as_ref().unwrap()).0))
            .collect();
        assert_eq!(tags, [("b2b", 20), ("vip", 11)]);
    }
    let removed = remove(&younger, &removal("city", 30)).unwrap();
    assert_eq!(standing(&[&older, &removed])[1], ("city".into(), text("Huế"), 0));
    assert_eq!(remove(&removed, &removal("city", 30)), None);
}

#[test]
fn there_are_limits_and_removals_are_forgotten_in_time() {
    let mut record = DetailsRecord::default();
    for number in 0..MAX_ATTRIBUTES {
        record = after(&record, &[set(&format!("a{number}"), "1", DetailSource::Agent, 10)]);
    }
    let more = set("b", "1", DetailSource::Agent, 20);
    assert_eq!(apply(&record, "t", &more), Err(TooMany::Attributes));
    assert!(apply(&record, "t", &set("a7", "2", DetailSource::Agent, 20)).is_ok());
    let many = Change {
        add_tags: (0..=MAX_TAGS).map(|number| number.to_string()).collect(),
        at: Moment(10),
        ..Change::default()
    };
    assert_eq!(apply(&record, "t", &many), Err(TooMany::Tags));
    let gone = after(&record, &[removal("a1", 30)]);
    assert_eq!(gone.attributes.len(), MAX_ATTRIBUTES, "the removal is remembered");
    let days = i64::try_from(REMOVAL_KEPT.as_millis()).unwrap();
    let later = after(&gone, &[set("a7", "2", DetailSource::Agent, 31 + days)]);
    assert_eq!(later.attributes.len(), MAX_ATTRIBUTES - 1);
}

#[test]
fn a_new_command_is_later_than_all_that_stands() {
    let ahead = after(&DetailsRecord::default(), &[tagged_by("vip", 5_000)]);
    assert_eq!(moment([&ahead], Moment(100)), Moment(5_001));
    assert_eq!(moment([&ahead], Moment(9_000)), Moment(9_000));
}

#[test]
fn names_values_and_types_are_checked() {
    let schema = Schema {
        attributes: [("city".to_owned(), ValueType::Text)].into(),
    };
    assert!(schema.check("city", &text("Huế")).is_ok());
    let refused = schema.check("ctiy", &text("Huế")).unwrap_err().to_string();
    assert_eq!(refused, "\"ctiy\" is no configured attribute; did you mean \"city\"?");
    let number = AttributeValue {
        kind: Some(Kind::Number(1.0)),
    };
    assert_eq!(
        schema.check("city", &number).unwrap_err().to_string(),
        "\"city\" is a text"
    );
    assert!(Schema::default().check("any", &number).is_ok());
    for wrong in ["", "City", "1st", "a-b", &"a".repeat(65)] {
        assert!(name_problem(wrong).is_some(), "{wrong}");
    }
    assert_eq!(name_problem(&"a".repeat(64)), None);
    assert!(value_problem(&text(" ")).is_some() && value_problem(&text(&"x".repeat(1025))).is_some());
    assert!(tag_problem(" vip").is_some() && tag_problem("").is_some() && tag_problem("khách quen").is_none());
}

#[test]
fn removals_of_what_never_was_do_not_fill_a_record() {
    let mut record = after(&DetailsRecord::default(), &[set("city", "Huế", DetailSource::Agent, 1)]);
    for at in 2..400 {
        let many = Change {
            remove: vec![format!("a{at}")],
            remove_tags: vec![format!("t{at}")],
            at: Moment(at),
            ..Change::default()
        };
        record = after(&record, &[many]);
        assert!(record.attributes.len() <= MAX_REMOVED + 1 && record.tags.len() <= MAX_REMOVED);
    }
    assert_eq!(
        (record.attributes.len(), record.tags.len()),
        (MAX_REMOVED + 1, MAX_REMOVED)
    );
    assert!(record.tags.iter().any(|tag| tag.name == "t399"), "the newest are kept");
}

#[test]
fn a_removal_that_is_repeated_late_takes_no_tag_that_was_given_since() {
    let removed = Change {
        remove_tags: vec!["vip".into()],
        at: Moment(10),
        ..Change::default()
    };
    let [first, again, later] = [5, 20, 30].map(|at| tagged_by("vip", at));
    // It may have been lost before it took effect, and comes again at any time.
    for at in 0..4 {
        let mut changes = vec![first.clone(), again.clone(), later.clone()];
        changes.insert(at, removed.clone());
        let mut record = after(&DetailsRecord::default(), &changes);
        for repeated in [&removed, &first] {
            record = after(&record, std::slice::from_ref(repeated));
        }
        assert_eq!(tags([&record]).len(), 1, "removed after {at}");
        let last = Change {
            at: Moment(40),
            ..removed.clone()
        };
        record = after(&record, &[last, later.clone()]);
        assert_eq!(tags([&record]).len(), 0, "removed after {at}");
    }
}
