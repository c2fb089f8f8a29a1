//! The scenarios of the identity model, by its names: what comes at once, and which identifiers it gives, strongest first.
//!
//! A message carries its last identifier as its peer. `join…` merges on a person's word, `undo…` takes a merge back (the
//! oldest on the way of the identifier, with `z` the newest), `part…` takes some identifiers back, `unlink…` gives one a
//! customer of its own once the others are there, `moved…` gives an address a new holder, `erase…` erases, `read…` reads,
//! `late…` is received a while after the others.

use omnigate_proto::v1::Identifier;

/// Names what happens, and the identifiers it is about.
pub(crate) type Act = (&'static str, &'static [&'static str]);

/// A scenario.
pub(crate) type Scenario = &'static [Act];

pub(crate) const SCENARIOS: &[Scenario] = &[
    // 0 to 2: first contact twice at one instant; chains of merges.
    &[
        ("m1", &["phone:1", "zalo:z1"]),
        ("m2", &["phone:1"]),
        ("read", &["phone:1"]),
    ],
    &[
        ("m1", &["phone:1", "zalo:z1"]),
        ("m2", &["phone:1", "mail:a"]),
        ("m3", &["mail:a"]),
        ("read", &["mail:a"]),
    ],
    &[
        ("m1", &["zalo:a"]),
        ("m2", &["mail:b"]),
        ("m3", &["mail:b", "zalo:a"]),
        ("m4", &["phone:c", "mail:b"]),
        ("m5", &["phone:c"]),
        ("read", &["zalo:a"]),
    ],
    // 3 to 6: caps protect.
    &[
        ("m1", &["crm:1", "phone:1"]),
        ("m2", &["crm:2", "phone:1"]),
        ("m3", &["crm:1", "mail:x"]),
        ("m4", &["crm:2", "mail:x"]),
    ],
    &[
        ("m1", &["crm:1", "mail:x"]),
        ("m2", &["mail:x", "zalo:z"]),
        ("m3", &["crm:2", "zalo:z"]),
        ("m4", &["zalo:z"]),
        ("m5", &["crm:2"]),
    ],
    &[
        ("m1", &["phone:1", "mail:x"]),
        ("m2", &["phone:2", "mail:x"]),
        ("unlink", &["phone:1"]),
        ("m3", &["phone:3", "mail:x"]),
        ("m4", &["mail:x", "phone:3"]),
        ("m5", &["phone:1"]),
    ],
    &[
        ("m1", &["phone:1", "mail:x"]),
        ("m2", &["phone:2", "mail:x"]),
        ("m3", &["phone:3", "mail:x"]),
        ("m4", &["phone:3"]),
    ],
    // 7: a merge is undone while messages of both sides come in.
    &[
        ("m1", &["zalo:a"]),
        ("m2", &["mail:b"]),
        ("m3", &["mail:b", "zalo:a"]),
        ("undo", &["mail:b"]),
        ("m4", &["mail:b"]),
        ("m5", &["zalo:a"]),
        ("read", &["mail:b"]),
        ("read2", &["zalo:a"]),
    ],
    // 8: the inner or the outer merge of a chain is undone.
    &[
        ("m1", &["zalo:a"]),
        ("m2", &["mail:b"]),
        ("m3", &["phone:c"]),
        ("m4", &["mail:b", "phone:c"]),
        ("m5", &["zalo:a", "mail:b"]),
        ("undo1", &["phone:c"]),
        ("undo2z", &["phone:c"]),
        ("undo3", &["mail:b"]),
        ("read", &["phone:c"]),
    ],
    // 9: a merge is undone in part, with a foreign identifier; linked again by hand, and undone again.
    &[
        ("m1", &["zalo:a", "mail:a"]),
        ("m2", &["mail:b", "phone:b"]),
        ("join", &["mail:a", "phone:b"]),
        ("part", &["phone:b", "phone:b", "mail:a"]),
        ("join2", &["mail:b", "phone:b"]),
        ("undoz", &["phone:b"]),
        ("m3", &["mail:a"]),
        ("read", &["mail:a"]),
        ("read2", &["phone:b"]),
    ],
    // 10: a split against an attach, a merge and an unlink of the same identifiers.
    &[
        ("m1", &["zalo:a"]),
        ("m2", &["mail:b"]),
        ("m3", &["mail:b", "zalo:a"]),
        ("undo", &["mail:b"]),
        ("m4", &["mail:b", "phone:c"]),
        ("m5", &["zalo:a", "phone:c"]),
        ("unlink", &["zalo:a"]),
        ("m6", &["phone:d", "zalo:a"]),
        ("read", &["phone:c"]),
    ],
    // 11: unlink and join in a ring, so that old records get identifiers back.
    &[
        ("m1", &["phone:1", "mail:x"]),
        ("unlink", &["phone:1"]),
        ("join", &["mail:x", "phone:1"]),
        ("unlink2", &["mail:x"]),
        ("join2", &["phone:1", "mail:x"]),
        ("m2", &["mail:x"]),
        ("read", &["phone:1"]),
        ("read2", &["mail:x"]),
    ],
    // 12: erasure against everything.
    &[
        ("m1", &["zalo:a"]),
        ("m2", &["mail:b"]),
        ("m3", &["mail:b", "zalo:a"]),
        ("erase", &["mail:b"]),
        ("undo", &["mail:b"]),
        ("late1", &["mail:b"]),
        ("late2", &["zalo:a"]),
        ("late3", &["mail:b", "zalo:a"]),
        ("read", &["zalo:a"]),
    ],
    // 13: one half is erased after an unlink whose thread has its home on the other half.
    &[
        ("m1", &["phone:1", "mail:x"]),
        ("unlink", &["mail:x"]),
        ("erase", &["phone:1"]),
        ("m2", &["mail:x"]),
        ("late1", &["phone:1"]),
        ("late2", &["mail:x"]),
        ("read", &["mail:x"]),
    ],
    // 14: who merges sleeps through the undoing of the same merge.
    &[
        ("m1", &["zalo:a"]),
        ("m2", &["mail:b"]),
        ("join", &["zalo:a", "mail:b"]),
        ("undo", &["mail:b"]),
        ("m3", &["mail:b", "zalo:a"]),
        ("m4", &["zalo:a", "mail:b"]),
    ],
    // 15: a reservation is refused, and room is made later.
    &[
        ("m1", &["mail:x", "phone:1"]),
        ("m2", &["mail:x", "phone:2"]),
        ("m3", &["mail:x", "phone:3"]),
        ("m4", &["mail:x", "phone:3"]),
        ("m5", &["phone:3"]),
        ("unlink", &["phone:1", "phone:2", "phone:3"]),
    ],
    // 16 and 17: a number gets a new holder, amid merge, undo and erasure.
    &[
        ("m1", &["phone:1", "mail:x"]),
        ("m2", &["zalo:z", "mail:x"]),
        ("moved", &["phone:1"]),
        ("m3", &["phone:1"]),
        ("late1", &["phone:1"]),
        ("late2", &["zalo:z", "phone:1"]),
        ("undo", &["mail:x"]),
        ("m4", &["mail:x"]),
        ("read", &["phone:1"]),
        ("read2", &["mail:x"]),
    ],
    &[
        ("m1", &["phone:1", "mail:x"]),
        ("moved", &["phone:1"]),
        ("late1", &["phone:1"]),
        ("late2", &["phone:1"]),
        ("erase", &["mail:x"]),
        ("late3", &["mail:x"]),
        ("read", &["mail:x"]),
    ],
];

/// The model's kinds by the gateway's types with the same caps: one id of a system of record, two of `phone` and `mail`, and
/// any number of `zalo`, which has one in each scope.
pub(crate) fn identifier(name: &str) -> Identifier {
    let (kind, value) = name.split_once(':').unwrap();
    let (kind, scope) = match kind {
        "crm" => ("crm", "erp"),
        "phone" => ("wa_id", "w"),
        "mail" => ("wa_bsuid", "w"),
        _ => ("zalo_uid", value),
    };
    Identifier {
        r#type: kind.into(),
        scope: scope.into(),
        value: value.into(),
    }
}

/// True for what brings no message.
pub(crate) fn is_command(name: &str) -> bool {
    ["unlink", "undo", "part", "erase", "moved", "read"]
        .iter()
        .any(|command| name.starts_with(command))
}
