use super::*;
use crate::telegram::{
    Options,
    answer::Parameters,
    backlog::Kind,
    clock::{Clock, Now},
    options::BotOptions,
    params::Upload,
    people::{ChatKind, NewUser},
    user::{Act, Action},
};
use bytes::Bytes;
use serde_json::Map;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

const NOON: i64 = 1_800_000_000;

fn now() -> Now {
    Clock::from_fn(|| Duration::from_secs(NOON.unsigned_abs())).now()
}

fn bot() -> Bot {
    let options = Options {
        rate_limits: false,
        ..Options::default()
    };
    Bot::new(7_000_000_001, BotOptions::default(), Arc::new(options))
}

/// A bot and a person who may be written to.
fn bot_and_person() -> (Bot, i64) {
    let mut bot = bot();
    let person = bot.people.add_user(NewUser::default());
    (bot, person)
}

fn params(value: Value) -> Params {
    Params {
        fields: value.as_object().cloned().unwrap_or_default(),
        ..Params::default()
    }
}

fn call(bot: &mut Bot, method: &str, value: Value) -> Result<Value, ApiError> {
    bot.call(method, &params(value), now())
}

/// The error's code and description.
fn refused(bot: &mut Bot, method: &str, value: Value) -> (u16, String) {
    let error = call(bot, method, value).unwrap_err();
    (error.code, error.description)
}

fn act(bot: &mut Bot, user: i64, action: Action) -> crate::telegram::Done {
    bot.act(
        &Act {
            user,
            chat: None,
            reply_to: None,
            action,
        },
        now(),
    )
    .unwrap()
}

fn last_update(bot: &Bot) -> Value {
    let (_, update) = bot.backlog.from(0).last().unwrap();
    serde_json::from_slice(&update.body).unwrap()
}

#[test]
fn a_message_is_answered_with_itself() {
    let (mut bot, person) = bot_and_person();
    let sent = call(&mut bot, "sendmessage", json!({"chat_id": person, "text": "xin chào"})).unwrap();
    assert_eq!(sent["message_id"], 1);
    assert_eq!(
        sent["chat"],
        json!({"id": person, "type": "private", "first_name": "Lan"})
    );
    assert_eq!(sent["from"]["is_bot"], true);
    assert_eq!(sent["text"], "xin chào");
    assert_eq!(sent["date"], NOON);
    let sent = &bot.journal.sent[0];
    assert_eq!((sent.chat_id, sent.message_id, sent.copies), (person, 1, 1));
}

#[test]
fn the_same_content_to_the_same_chat_is_counted_as_a_copy() {
    let (mut bot, person) = bot_and_person();
    let other = bot.people.add_user(NewUser::default());
    for (to, text) in [(person, "a"), (person, "b"), (other, "a"), (person, "a")] {
        call(&mut bot, "sendmessage", json!({"chat_id": to, "text": text})).unwrap();
    }
    let copies: Vec<u32> = bot.journal.sent.iter().map(|sent| sent.copies).collect();
    assert_eq!(copies, [1, 1, 1, 2]);
    assert_eq!(bot.journal.counters.repeated, 1);
}

#[test]
fn text_is_measured_in_utf16_units_after_its_tags_are_taken_out() {
    let (mut bot, person) = bot_and_person();
    let fits = "😀".repeat(2048);
    call(&mut bot, "sendmessage", json!({"chat_id": person, "text": fits})).unwrap();
    let over = format!("{fits}a");
    let error = refused(&mut bot, "sendmessage", json!({"chat_id": person, "text": over}));
    assert_eq!(error, (400, "Bad Request: message is too long".to_owned()));
    let tagged = json!({"chat_id": person, "text": format!("<b>{fits}</b>"), "parse_mode": "HTML"});
    let sent = call(&mut bot, "sendmessage", tagged).unwrap();
    assert_eq!(sent["entities"], json!([{"type": "bold", "offset": 0, "length": 4096}]));
}

#[test]
fn captions_are_shorter() {
    let (mut bot, person) = bot_and_person();
    let photo = "https://example.com/a.jpg";
    let at_limit = json!({"chat_id": person, "photo": photo, "caption": "a".repeat(1024)});
    call(&mut bot, "sendphoto", at_limit).unwrap();
    let over = json!({"chat_id": person, "photo": photo, "caption": "a".repeat(1025)});
    assert_eq!(
        refused(&mut bot, "sendphoto", over),
        (400, "Bad Request: message caption is too long".to_owned())
    );
}

#[test]
fn html_errors_say_where() {
    let (mut bot, person) = bot_and_person();
    for (text, why) in [
        ("<b>a", "Can't find end tag corresponding to start tag \"b\""),
        ("a</b>", "Unexpected end tag at byte offset 1"),
        (
            "<b>a</i>",
            "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\"",
        ),
        ("à <x>", "Unsupported start tag \"x\" at byte offset 3"),
        ("1 < 2", "Unclosed start tag at byte offset 2"),
    ] {
        let error = refused(
            &mut bot,
            "sendmessage",
            json!({"chat_id": person, "text": text, "parse_mode": "HTML"}),
        );
        assert_eq!(
            error,
            (400, format!("Bad Request: can't parse entities: {why}")),
            "{text}"
        );
    }
}

#[test]
fn html_becomes_entities() {
    let (mut bot, person) = bot_and_person();
    let text =
        "😀 <a href=\"https://e.vn/?a=1\">x</a> <pre><code class=\"language-rust\">fn</code></pre> &lt;&#65;&amp;";
    let sent = call(
        &mut bot,
        "sendmessage",
        json!({"chat_id": person, "text": text, "parse_mode": "html"}),
    )
    .unwrap();
    assert_eq!(sent["text"], "😀 x fn <A&");
    assert_eq!(
        sent["entities"],
        json!([
            {"type": "text_link", "url": "https://e.vn/?a=1", "offset": 3, "length": 1},
            {"type": "pre", "offset": 5, "length": 2},
        ])
    );
}

#[test]
fn who_cannot_be_written_to_is_told_apart() {
    let (mut bot, person) = bot_and_person();
    let text = |chat: i64| json!({"chat_id": chat, "text": "a"});
    let stranger = bot.people.add_user(NewUser {
        started: false,
        ..NewUser::default()
    });
    assert_eq!(
        refused(&mut bot, "sendmessage", text(1)),
        (400, "Bad Request: chat not found".to_owned())
    );
    assert_eq!(
        refused(&mut bot, "sendmessage", text(stranger)),
        (400, "Bad Request: chat not found".to_owned())
    );
    bot.people
        .add_group(ChatKind::Group, "both", BTreeSet::from([stranger]));
    let error = refused(&mut bot, "sendmessage", text(stranger));
    assert_eq!(
        error,
        (403, "Forbidden: bot can't initiate conversation with a user".to_owned())
    );
    act(&mut bot, person, Action::Block);
    let error = refused(&mut bot, "sendmessage", text(person));
    assert_eq!(error, (403, "Forbidden: bot was blocked by the user".to_owned()));
    act(&mut bot, person, Action::Unblock);
    call(&mut bot, "sendmessage", text(person)).unwrap();
    act(&mut bot, person, Action::Deactivate);
    let error = refused(&mut bot, "sendmessage", text(person));
    assert_eq!(error, (403, "Forbidden: user is deactivated".to_owned()));
}

#[test]
fn a_migrated_group_says_where_it_went() {
    let (mut bot, person) = bot_and_person();
    let group = bot.people.add_group(ChatKind::Group, "old", BTreeSet::from([person]));
    let new = bot.migrate(group, now()).unwrap();
    let error = call(&mut bot, "sendmessage", json!({"chat_id": group, "text": "a"})).unwrap_err();
    assert_eq!(
        error.description,
        "Bad Request: group chat was upgraded to a supergroup chat"
    );
    assert_eq!(error.parameters, Some(Parameters::MigrateTo(new)));
    assert_eq!(last_update(&bot)["message"]["migrate_from_chat_id"], group);
    call(&mut bot, "sendmessage", json!({"chat_id": new, "text": "a"})).unwrap();
}

#[test]
fn a_reply_needs_its_target() {
    let (mut bot, person) = bot_and_person();
    let written = act(
        &mut bot,
        person,
        Action::Text {
            text: "hỏi".to_owned()
        },
    )
    .messages[0];
    let reply = |id: i64| json!({"chat_id": person, "text": "đáp", "reply_parameters": {"message_id": id}});
    let sent = call(&mut bot, "sendmessage", reply(written)).unwrap();
    assert_eq!(sent["reply_to_message"]["text"], "hỏi");
    let error = refused(&mut bot, "sendmessage", reply(99));
    assert_eq!(error, (400, "Bad Request: message to be replied not found".to_owned()));
    let lenient = json!({
        "chat_id": person, "text": "đáp",
        "reply_parameters": "{\"message_id\": 99, \"allow_sending_without_reply\": true}",
    });
    assert!(
        call(&mut bot, "sendmessage", lenient)
            .unwrap()
            .get("reply_to_message")
            .is_none()
    );
}

#[test]
fn buttons_are_checked_and_pressed_and_answered_once_they_exist() {
    let (mut bot, person) = bot_and_person();
    let with = |data: &str| json!({"chat_id": person, "text": "?", "reply_markup": {"inline_keyboard": [[{"text": "x", "callback_data": data}]]}});
    for bad in ["", &"a".repeat(65)] {
        let error = refused(&mut bot, "sendmessage", with(bad));
        assert_eq!(error, (400, "Bad Request: BUTTON_DATA_INVALID".to_owned()));
    }
    call(&mut bot, "sendmessage", with(&"a".repeat(64))).unwrap();
    let done = act(
        &mut bot,
        person,
        Action::Press {
            data: "a".repeat(64),
            message_id: None,
        },
    );
    let query = last_update(&bot)["callback_query"].clone();
    assert_eq!(query["id"].as_str(), done.callback.as_deref());
    assert_eq!(query["message"]["message_id"], 1);
    let answer = json!({"callback_query_id": query["id"]});
    assert_eq!(call(&mut bot, "answercallbackquery", answer.clone()).unwrap(), true);
    let too_old = "Bad Request: query is too old and response timeout expired or query ID is invalid";
    let unknown = json!({"callback_query_id": "1"});
    assert_eq!(
        refused(&mut bot, "answercallbackquery", unknown),
        (400, too_old.to_owned())
    );
    let mut later = now();
    later.at += Kind::CallbackQuery.lifetime() + Duration::from_secs(1);
    let error = bot.call("answercallbackquery", &params(answer), later).unwrap_err();
    assert_eq!(error.description, too_old);
}

#[test]
fn edits_are_of_own_messages_and_of_something_new() {
    let (mut bot, person) = bot_and_person();
    let theirs = act(&mut bot, person, Action::Text { text: "a".to_owned() }).messages[0];
    let own = call(&mut bot, "sendmessage", json!({"chat_id": person, "text": "a"})).unwrap()["message_id"].clone();
    let edit = |id: Value, text: &str| json!({"chat_id": person, "message_id": id, "text": text});
    let edited = call(&mut bot, "editmessagetext", edit(own.clone(), "b")).unwrap();
    assert_eq!(
        (edited["text"].as_str(), edited["edit_date"].as_i64()),
        (Some("b"), Some(NOON))
    );
    let (code, same) = refused(&mut bot, "editmessagetext", edit(own, "b"));
    assert_eq!(code, 400);
    assert!(same.starts_with("Bad Request: message is not modified"), "{same}");
    let error = refused(&mut bot, "editmessagetext", edit(json!(theirs), "b"));
    assert_eq!(error, (400, "Bad Request: message can't be edited".to_owned()));
    let error = refused(&mut bot, "editmessagetext", edit(json!(99), "b"));
    assert_eq!(error, (400, "Bad Request: message to edit not found".to_owned()));
}

#[test]
fn deleting_takes_a_message_away_once() {
    let (mut bot, person) = bot_and_person();
    call(&mut bot, "sendmessage", json!({"chat_id": person, "text": "a"})).unwrap();
    let delete = json!({"chat_id": person, "message_id": 1});
    let mut much_later = now();
    much_later.unix += 49 * 3600;
    let error = bot
        .call("deletemessage", &params(delete.clone()), much_later)
        .unwrap_err();
    assert_eq!(error.description, "Bad Request: message can't be deleted");
    assert_eq!(call(&mut bot, "deletemessage", delete.clone()).unwrap(), true);
    let error = refused(&mut bot, "deletemessage", delete);
    assert_eq!(error, (400, "Bad Request: message to delete not found".to_owned()));
}

#[test]
fn reactions_are_emoji_that_telegram_knows() {
    let (mut bot, person) = bot_and_person();
    let theirs = act(&mut bot, person, Action::Text { text: "a".to_owned() }).messages[0];
    let react = |emoji: &str, id: i64| json!({"chat_id": person, "message_id": id, "reaction": [{"type": "emoji", "emoji": emoji}]});
    assert_eq!(call(&mut bot, "setmessagereaction", react("👍", theirs)).unwrap(), true);
    assert_eq!(
        call(&mut bot, "setmessagereaction", react("❤\u{fe0f}", theirs)).unwrap(),
        true
    );
    let error = refused(&mut bot, "setmessagereaction", react("x", theirs));
    assert_eq!(error, (400, "Bad Request: REACTION_INVALID".to_owned()));
    let error = refused(&mut bot, "setmessagereaction", react("👍", 99));
    assert_eq!(error, (400, "Bad Request: message to react not found".to_owned()));
}

fn upload(size: usize) -> Params {
    let upload = Upload {
        name: "a.jpg".to_owned(),
        mime_type: None,
        bytes: Bytes::from(vec![1; size]),
    };
    let mut params = Params::default();
    params.uploads.insert("file".to_owned(), upload);
    params
}

#[test]
fn uploads_have_limits_and_a_large_voice_message_arrives_as_a_document() {
    let (mut bot, person) = bot_and_person();
    let send = |bot: &mut Bot, field: &str, size: usize| {
        let mut params = upload(size);
        params.fields = Map::from_iter([
            ("chat_id".to_owned(), json!(person)),
            (field.to_owned(), json!("attach://file")),
        ]);
        bot.call(&format!("send{field}"), &params, now())
    };
    let photo = send(&mut bot, "photo", 10 << 20).unwrap();
    assert_eq!(photo["photo"][1]["file_size"], 10 << 20);
    let error = send(&mut bot, "photo", (10 << 20) + 1).unwrap_err();
    assert!(
        error.description.contains("too big for a photo"),
        "{}",
        error.description
    );
    assert_eq!(send(&mut bot, "document", (50 << 20) + 1).unwrap_err().code, 413);
    assert!(send(&mut bot, "voice", 1 << 20).unwrap()["voice"].is_object());
    assert!(send(&mut bot, "voice", (1 << 20) + 1).unwrap()["document"].is_object());
}

#[test]
fn a_file_id_can_be_sent_again_and_a_large_file_cannot_be_fetched() {
    let (mut bot, person) = bot_and_person();
    let media = |size: u64| crate::telegram::Media {
        size: Some(size),
        ..Default::default()
    };
    act(&mut bot, person, Action::Document(media(20 << 20)));
    let id = last_update(&bot)["message"]["document"]["file_id"].clone();
    let path = call(&mut bot, "getfile", json!({"file_id": id})).unwrap()["file_path"].clone();
    assert_eq!(path, "documents/file_1.bin");
    let again = call(&mut bot, "senddocument", json!({"chat_id": person, "document": id})).unwrap();
    assert_eq!(again["document"]["file_id"], id);
    act(&mut bot, person, Action::Document(media((20 << 20) + 1)));
    let id = last_update(&bot)["message"]["document"]["file_id"].clone();
    let error = refused(&mut bot, "getfile", json!({"file_id": id}));
    assert_eq!(error, (400, "Bad Request: file is too big".to_owned()));
    let error = refused(
        &mut bot,
        "senddocument",
        json!({"chat_id": person, "document": "nonsense"}),
    );
    assert_eq!(
        error,
        (400, "Bad Request: wrong file identifier/HTTP URL specified".to_owned())
    );
}

#[test]
fn an_album_is_two_to_ten_messages_with_one_group_id() {
    let (mut bot, person) = bot_and_person();
    let items = |count: usize| {
        let item = json!({"type": "photo", "media": "https://example.com/a.jpg"});
        json!({"chat_id": person, "media": vec![item; count]})
    };
    for count in [1, 11] {
        assert_eq!(refused(&mut bot, "sendmediagroup", items(count)).0, 400);
    }
    let sent = call(&mut bot, "sendmediagroup", items(2)).unwrap();
    assert_eq!(sent[0]["media_group_id"], sent[1]["media_group_id"]);
    assert_eq!(
        (sent[0]["message_id"].as_i64(), sent[1]["message_id"].as_i64()),
        (Some(1), Some(2))
    );
}

#[test]
fn rates_are_per_chat_and_per_bot() {
    let (mut bot, person) = bot_and_person();
    bot.rate_limits = true;
    let start = now();
    let text = |chat: i64| params(json!({"chat_id": chat, "text": "a"}));
    for _ in 0..3 {
        bot.call("sendmessage", &text(person), start).unwrap();
    }
    let error = bot.call("sendmessage", &text(person), start).unwrap_err();
    assert_eq!(error.description, "Too Many Requests: retry after 2");
    assert_eq!(error.parameters, Some(Parameters::RetryAfter(2)));
    let later = Now {
        at: start.at + Duration::from_secs(2),
        ..start
    };
    bot.call("sendmessage", &text(person), later).unwrap();
    let others: Vec<i64> = (0..30).map(|_| bot.people.add_user(NewUser::default())).collect();
    let refused = others
        .iter()
        .filter(|chat| bot.call("sendmessage", &text(**chat), later).is_err())
        .count();
    assert_eq!(refused, 1, "thirty a second, one of which was taken");
}

#[test]
fn a_group_takes_twenty_a_minute() {
    let (mut bot, person) = bot_and_person();
    bot.rate_limits = true;
    let group = bot
        .people
        .add_group(ChatKind::Supergroup, "many", BTreeSet::from([person]));
    let start = now();
    let accepted = (0..40)
        .filter(|second| {
            let at = Now {
                at: start.at + Duration::from_secs(*second),
                ..start
            };
            bot.call("sendmessage", &params(json!({"chat_id": group, "text": "a"})), at)
                .is_ok()
        })
        .count();
    assert!(
        (30..=34).contains(&accepted),
        "20 at once and one every 3 s after: {accepted}"
    );
}

#[test]
fn what_is_not_asked_for_is_not_told() {
    let (mut bot, person) = bot_and_person();
    let written = act(&mut bot, person, Action::Text { text: "a".to_owned() });
    let react = Action::React {
        message_id: written.messages[0],
        emoji: Some("👍".to_owned()),
    };
    assert_eq!(act(&mut bot, person, react.clone()).updates, Vec::<u32>::new());
    bot.set_webhook(
        &params(json!({"url": "http://127.0.0.1:1/", "allowed_updates": ["message_reaction"]})),
        false,
    )
    .unwrap();
    assert_eq!(act(&mut bot, person, react).updates.len(), 1);
    let update = last_update(&bot);
    assert_eq!(
        update["message_reaction"]["old_reaction"],
        update["message_reaction"]["new_reaction"]
    );
    assert_eq!(
        act(&mut bot, person, Action::Text { text: "b".to_owned() })
            .updates
            .len(),
        0
    );
}

#[test]
fn unknown_methods_and_parameters_are_refused_in_the_servers_words() {
    let (mut bot, person) = bot_and_person();
    assert_eq!(
        refused(&mut bot, "sendhugs", json!({})),
        (404, "Not Found: method not found".to_owned())
    );
    assert_eq!(
        refused(&mut bot, "sendmessage", json!({"text": "a"})),
        (400, "Bad Request: chat_id is empty".to_owned())
    );
    let empty = refused(&mut bot, "sendmessage", json!({"chat_id": person, "text": ""}));
    assert_eq!(empty, (400, "Bad Request: message text is empty".to_owned()));
    let secret = json!({"url": "http://127.0.0.1:1/", "secret_token": "có dấu"});
    let error = bot.set_webhook(&params(secret), false).unwrap_err();
    assert_eq!(
        error.description,
        "Bad Request: secret token contains unallowed characters"
    );
}

#[test]
fn memory_is_bounded() {
    let options = Options {
        rate_limits: false,
        messages: 10,
        journal: 5,
        contents: 7,
        pending_updates: 4,
        ..Options::default()
    };
    let mut bot = Bot::new(1, BotOptions::default(), Arc::new(options));
    let person = bot.people.add_user(NewUser::default());
    for number in 0..50 {
        act(
            &mut bot,
            person,
            Action::Text {
                text: format!("{number}"),
            },
        );
        call(
            &mut bot,
            "sendmessage",
            json!({"chat_id": person, "text": format!("{number}")}),
        )
        .unwrap();
    }
    assert_eq!((bot.backlog.len(), bot.journal.sent.len()), (4, 5));
    assert_eq!(bot.journal.counters.dropped, 46);
    assert!(bot.messages.get(person, 90).is_none());
    assert!(bot.messages.get(person, 91).is_some());
}

#[test]
fn files_are_forgotten_oldest_first() {
    let mut bot = bot();
    bot.files = crate::telegram::files::Files::new(1, 10);
    let ids: Vec<String> = (0..3)
        .map(|_| {
            let new = crate::telegram::files::NewFile {
                bytes: Bytes::from(vec![1; 4]),
                ..Default::default()
            };
            bot.files
                .add(crate::telegram::files::MediaKind::Document, new)
                .id
                .clone()
        })
        .collect();
    let kept: Vec<bool> = ids.iter().map(|id| bot.files.by_id(id).is_some()).collect();
    assert_eq!(kept, [false, true, true]);
}
