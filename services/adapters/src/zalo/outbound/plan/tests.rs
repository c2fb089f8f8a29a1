use super::*;
use omnigate_proto::v1::{Part, Text};

fn message(contents: Vec<Wanted>) -> Message {
    Message {
        parts: contents
            .into_iter()
            .map(|content| Part { content: Some(content) })
            .collect(),
        ..Message::default()
    }
}

fn text(text: &str) -> Wanted {
    Wanted::Text(Text {
        text: text.into(),
        ..Text::default()
    })
}

fn upload(kind: MediaKind, start: &[u8], size: usize) -> Wanted {
    let mut content = start.to_vec();
    content.resize(size, b'x');
    Wanted::Media(Media {
        kind: kind.into(),
        content: content.into(),
        file_name: if kind == MediaKind::File {
            "a.pdf".into()
        } else {
            String::new()
        },
        width: 1,
        height: 1,
        ..Media::default()
    })
}

#[test]
fn uploads_are_as_large_as_zalo_takes_them() {
    for (kind, start, limit) in [
        (MediaKind::Image, &b"\xff\xd8\xff"[..], MAX_IMAGE),
        (MediaKind::Image, b"\x89PNG", MAX_IMAGE),
        (MediaKind::Animation, b"GIF89a", MAX_GIF),
        (MediaKind::File, b"%PDF", MAX_FILE),
    ] {
        assert!(plan(&message(vec![upload(kind, start, limit)])).is_ok(), "{kind:?}");
        assert!(
            plan(&message(vec![upload(kind, start, limit + 1)])).is_err(),
            "{kind:?}"
        );
    }
}

/// Counted are characters after composing, not bytes and not UTF-16 units.
#[test]
fn two_thousand_characters_of_any_script_are_one_piece() {
    for character in ["a", "ế", "😀"] {
        let pieces = |count: usize| plan(&message(vec![text(&character.repeat(count))])).map(|pieces| pieces.len());
        assert_eq!(pieces(2000), Ok(1), "{character}");
        assert_eq!(pieces(2001), Ok(2), "{character}");
    }
}

#[test]
fn nothing_but_the_first_text_quotes() {
    let mut wanted = message(vec![
        Wanted::Sticker(Sticker {
            provider_media_id: "5977".into(),
            ..Sticker::default()
        }),
        text("một"),
        text("hai"),
    ]);
    wanted.reply_to_provider_message_id = "aa".into();
    let quoted: Vec<_> = plan(&wanted)
        .unwrap_or_default()
        .iter()
        .map(|piece| piece.quoted.is_some())
        .collect();
    assert_eq!(quoted, [false, true, false]);
}

#[test]
fn addresses_stand_behind_their_words_once() {
    let html = |source: &str| {
        plain(&Text {
            text: source.into(),
            format: TextFormat::Html.into(),
        })
    };
    assert_eq!(
        html("<a href='https://x.example'>https://x.example</a>"),
        "https://x.example"
    );
    assert_eq!(
        html("a<br><a href='https://x.example'>b</a> &amp; c"),
        "a\nb (https://x.example) & c"
    );
    assert_eq!(
        html("<a href='https://1.example'>a <a href='https://2.example'>b</a></a>"),
        "a b (https://1.example) (https://2.example)"
    );
}
