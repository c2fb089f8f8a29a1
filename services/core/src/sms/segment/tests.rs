use super::*;
use crate::sms::coding;
use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization as _;

fn plan(text: &str) -> Plan {
    Plan::of(text, &Options::default())
}

fn sizes(plan: &Plan) -> Vec<usize> {
    plan.segments.iter().map(|segment| segment.units).collect()
}

fn national(locking: Option<Language>, single: Option<Language>) -> Options {
    Options {
        national: National { locking, single },
        ..Options::default()
    }
}

#[test]
fn septets_fill_160_then_153() {
    for (length, expected) in [
        (0, &[][..]),
        (1, &[1]),
        (160, &[160]),
        (161, &[153, 8]),
        (306, &[153, 153]),
        (307, &[153, 153, 1]),
        (459, &[153, 153, 153]),
    ] {
        let plan = plan(&"a".repeat(length));
        assert_eq!(
            (plan.encoding, sizes(&plan)),
            (Encoding::Gsm7, expected.to_vec()),
            "{length}"
        );
    }
}

#[test]
fn ucs_2_fills_70_then_67() {
    for (length, expected) in [
        (70, &[70][..]),
        (71, &[67, 4]),
        (134, &[67, 67]),
        (135, &[67, 67, 1]),
        (201, &[67, 67, 67]),
    ] {
        let plan = plan(&"ế".repeat(length));
        assert_eq!(
            (plan.encoding, sizes(&plan)),
            (Encoding::Ucs2, expected.to_vec()),
            "{length}"
        );
        assert_eq!(plan.characters, length);
    }
}

#[test]
fn a_wide_reference_takes_one_unit() {
    let wide = Options {
        reference: Reference::Bits16,
        ..Options::default()
    };
    assert_eq!(sizes(&Plan::of(&"a".repeat(160), &wide)), [160]);
    assert_eq!(sizes(&Plan::of(&"a".repeat(161), &wide)), [152, 9]);
    assert_eq!(sizes(&Plan::of(&"ế".repeat(71), &wide)), [66, 5]);
}

#[test]
fn what_the_provider_adds_is_left_free() {
    let reserved = Options {
        reserved: 38,
        ..Options::default()
    };
    let count = |length| Plan::of(&"a".repeat(length), &reserved).segments.len();
    assert_eq!([122, 123, 268, 269, 421, 422].map(count), [1, 2, 2, 3, 3, 4]);
    assert_eq!(Plan::of("a", &reserved).room, 121);
    let absurd = Options {
        reserved: usize::MAX / 2,
        ..Options::default()
    };
    assert!(Plan::of("a", &absurd).check().is_err());
}

#[test]
fn the_label_is_six_septets() {
    let plan = plan("[QC]");
    assert_eq!((plan.encoding, plan.characters, plan.units), (Encoding::Gsm7, 4, 6));
}

#[test]
fn one_letter_makes_it_ucs_2_and_is_named() {
    let plan = plan("Chào chị Đặng, đơn đã gửi");
    assert_eq!(plan.encoding, Encoding::Ucs2);
    let named: Vec<(char, usize, usize, &str)> = plan
        .foreign
        .iter()
        .map(|foreign| {
            (
                foreign.character,
                foreign.position,
                foreign.count,
                foreign.instead.as_str(),
            )
        })
        .collect();
    assert_eq!(
        named,
        [
            ('ị', 7, 1, "i"),
            ('Đ', 9, 1, "D"),
            ('ặ', 10, 1, "a"),
            ('đ', 15, 2, "d"),
            ('ơ', 16, 1, "o"),
            ('ã', 20, 1, "a"),
            ('ử', 23, 1, "u"),
        ]
    );
    assert_eq!(plan.foreign_characters, 8, "à is in GSM-7");
    let many: String = (0..200).map(|at| char::from_u32(0x4e00 + at).unwrap()).collect();
    let plan = self::plan(&many);
    assert_eq!((plan.foreign.len(), plan.foreign_characters), (MAX_FOREIGN, 200));
}

#[test]
fn without_accents_it_is_septets_again() {
    let options = Options {
        unaccented: true,
        label: Some("[QC]".into()),
        opt_out_line: Some("Từ chối soạn TC gửi 199".into()),
        price: Some(Price::parse("0.02", "USD").unwrap()),
        ..Options::default()
    };
    let plan = Plan::of("Giảm 50% – chỉ hai ngày 🎉", &options);
    assert_eq!(plan.text, "[QC] Giam 50% - chi hai ngay ?\nTu choi soan TC gui 199");
    assert_eq!((plan.encoding, plan.replaced, plan.lost), (Encoding::Gsm7, 1, 1));
    assert_eq!(plan.cost.unwrap().to_string(), "0.02 USD");
    assert!(plan.foreign.is_empty());
}

#[test]
fn an_escape_pair_is_not_cut() {
    let plan = plan(&format!("{}€{}", "a".repeat(152), "b".repeat(10)));
    assert_eq!(sizes(&plan), [152, 12]);
    assert!(plan.texts().nth(1).unwrap().starts_with('€'));
}

#[test]
fn a_surrogate_pair_and_a_family_are_not_cut() {
    let cut = plan(&format!("{}😀{}", "ế".repeat(66), "ế".repeat(10)));
    assert_eq!(sizes(&cut), [66, 12]);
    let family = "👨\u{200d}👩\u{200d}👧";
    let cut = plan(&format!("{}{family}{}", "ế".repeat(63), "ế".repeat(10)));
    assert_eq!(sizes(&cut), [63, 18]);
    assert!(cut.texts().nth(1).unwrap().starts_with(family));
}

#[test]
fn a_cluster_longer_than_a_segment_is_cut_between_characters() {
    let cut = plan(&format!("ế{}", "\u{1f3fb}\u{200d}👩".repeat(60)));
    assert_eq!(cut.texts().collect::<String>(), cut.text);
    assert!(sizes(&cut).iter().all(|units| *units <= 67), "{:?}", sizes(&cut));
    let marks = plan(&format!("x{}", "\u{301}\u{310}".repeat(100)));
    assert_eq!(sizes(&marks), [67, 67, 67]);
}

#[test]
fn national_tables_are_used_only_when_agreed_and_needed() {
    let turkish = "Şişli'de kış indirimi";
    assert_eq!(plan(turkish).encoding, Encoding::Ucs2);
    let both = national(Some(Language::Turkish), Some(Language::Turkish));
    let planned = Plan::of(turkish, &both);
    assert_eq!((planned.encoding, planned.capacity), (Encoding::Gsm7, 155));
    assert_eq!(
        planned.national,
        National {
            locking: None,
            single: Some(Language::Turkish)
        },
        "one segment either way"
    );
    assert_eq!(Plan::of("kis", &both).national, National::default());
    let long = Plan::of(&"ş".repeat(155), &both);
    assert_eq!(
        long.national,
        National {
            locking: Some(Language::Turkish),
            single: None
        }
    );
    assert_eq!(sizes(&long), [155]);
    assert_eq!(sizes(&Plan::of(&"ş".repeat(156), &both)), [149, 7]);
    let spanish = national(Some(Language::Spanish), Some(Language::Spanish));
    let planned = Plan::of("¿Cómo está?", &spanish);
    assert_eq!((planned.units, planned.national.locking), (13, None));
    let mixed = Plan::of("ş ế", &both);
    assert_eq!(mixed.foreign.len(), 1, "ş could be written");
}

#[test]
fn too_many_segments_are_said() {
    let short = Options {
        max_segments: 2,
        ..Options::default()
    };
    assert_eq!(Plan::of(&"a".repeat(306), &short).check(), Ok(()));
    let error = Plan::of(&"a".repeat(307), &short).check().unwrap_err();
    assert_eq!(
        error,
        TooLong {
            segments: 3,
            maximum: 2
        }
    );
    assert!(
        plan(&"a".repeat(153 * 256)).check().is_err(),
        "the header counts to 255"
    );
}

/// Texts with letters, escapes, marks, pairs and clusters in any order.
fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-zA-Z0-9 ]{1,20}",
        2 => "[\\[\\]{}^~|€\\\\]{1,8}",
        2 => "[àảãáạăắâầđêôơưủỳ]{1,12}",
        1 => Just("👨\u{200d}👩\u{200d}👧".to_owned()),
        1 => Just("\r\n".to_owned()),
        1 => "[\u{300}-\u{310}]{1,100}",
        1 => "\\PC{1,10}",
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn any_options() -> impl Strategy<Value = Options> {
    let languages = prop::sample::select(vec![
        None,
        Some(Language::Turkish),
        Some(Language::Spanish),
        Some(Language::Portuguese),
    ]);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (languages.clone(), languages, flags, 0..400_usize).prop_map(|(locking, single, flags, reserved)| Options {
        unaccented: flags.0,
        label: flags.1.then(|| "[QC]".into()),
        opt_out_line: flags.2.then(|| "Từ chối soạn TC gửi 199".into()),
        reference: if flags.3 { Reference::Bits16 } else { Reference::Bits8 },
        reserved: if flags.3 { reserved } else { 0 },
        ..national(locking, single)
    })
}

proptest! {
    #[test]
    fn segments_are_the_text_and_within_their_limit(text in any_text(), options in any_options()) {
        let plan = Plan::of(&text, &options);
        prop_assert_eq!(plan.texts().collect::<String>(), plan.text.clone());
        prop_assert_eq!(plan.characters, plan.text.chars().count());
        for (segment, text) in plan.segments.iter().zip(plan.texts()) {
            prop_assert!(segment.units <= plan.capacity);
            let octets = coding::encode(plan.coding(), text).unwrap();
            let width = if plan.encoding == Encoding::Ucs2 { 2 } else { 1 };
            prop_assert_eq!(octets.len(), segment.units * width);
            prop_assert_eq!(String::from_utf16(&coding::decode(plan.coding(), &octets)).unwrap(), text);
        }
        prop_assert!(plan.room <= plan.capacity);
    }

    #[test]
    fn only_a_cluster_longer_than_a_segment_is_cut(text in any_text()) {
        let plan = plan(&text);
        let ends: Vec<usize> = plan.segments.iter().map(|segment| segment.range.end).collect();
        for (at, grapheme) in plan.text.grapheme_indices(true) {
            let inside = ends.iter().any(|end| *end > at && *end < at + grapheme.len());
            let units: usize = match plan.encoding {
                Encoding::Gsm7 => grapheme.chars().map(|c| alphabet::written(c, plan.national).unwrap().septets()).sum(),
                Encoding::Ucs2 => grapheme.encode_utf16().count(),
            };
            prop_assert!(!inside || units > plan.capacity);
        }
    }

    #[test]
    fn decomposed_text_counts_the_same(text in any_text(), options in any_options()) {
        let decomposed: String = text.nfd().collect();
        prop_assert_eq!(Plan::of(&decomposed, &options), Plan::of(&text, &options));
    }

    #[test]
    fn a_plan_planned_again_stays(text in any_text(), options in any_options()) {
        let once = Plan::of(&text, &options);
        prop_assert_eq!(Plan::of(&once.text, &options).text, once.text);
    }
}
