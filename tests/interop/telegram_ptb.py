#!/usr/bin/env python3
"""Holds the Telegram sandbox against an independent client, python-telegram-bot.

Usage: telegram_ptb.py BASE_URL TOKEN   (as the sandbox prints them)

The sandbox is only worth something if clients that know the real Bot API cannot tell it apart: this one parses every
answer and every update with its own types, and maps every error to its own exception.
"""

import asyncio
import json
import logging
import sys
import urllib.request

import telegram
from telegram import InlineKeyboardButton, InlineKeyboardMarkup, InputMediaPhoto, ReplyParameters, error

BASE, TOKEN = sys.argv[1], sys.argv[2]
checks = 0
# The HTML of a bad gateway is meant to be unreadable to it.
logging.getLogger("telegram").setLevel(logging.CRITICAL)


def check(holds, what):
    global checks
    checks += 1
    if not holds:
        raise SystemExit(f"not so: {what}")


def control(path, body, method="POST"):
    request = urllib.request.Request(
        f"{BASE}/control{path}", json.dumps(body).encode(), {"content-type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


async def refused(kind, words, call):
    try:
        await call
    except error.TelegramError as caught:
        check(type(caught) is kind, f"{words}: {kind.__name__}, not {type(caught).__name__}: {caught}")
        check(words in str(caught), f"{words!r} in {caught}")
        return caught
    raise SystemExit(f"not refused: {words}")


async def sending(bot, person):
    sent = await bot.send_message(person, "xin <b>chào</b>", parse_mode="HTML")
    check(sent.text == "xin chào" and sent.entities[0].type == "bold", "html becomes entities")
    check(sent.chat.id == person and sent.from_user.is_bot, "chat and sender")
    reply = await bot.send_message(person, "đáp", reply_parameters=ReplyParameters(sent.message_id))
    check(reply.reply_to_message.message_id == sent.message_id, "reply")
    edited = await bot.edit_message_text("sửa", person, sent.message_id)
    check(edited.text == "sửa" and edited.edit_date is not None, "edit")
    await refused(error.BadRequest, "Message is not modified", bot.edit_message_text("sửa", person, sent.message_id))
    check(await bot.set_message_reaction(person, sent.message_id, "👍"), "reaction")
    check(await bot.send_chat_action(person, "typing"), "chat action")
    check(await bot.delete_message(person, sent.message_id), "delete")
    await refused(error.BadRequest, "Message to delete not found", bot.delete_message(person, sent.message_id))
    await refused(error.BadRequest, "Message is too long", bot.send_message(person, "a" * 4097))
    await refused(error.BadRequest, "Can't parse entities", bot.send_message(person, "<b>a", parse_mode="HTML"))
    await refused(error.BadRequest, "Chat not found", bot.send_message(1, "a"))
    gone = ReplyParameters(999)
    await refused(
        error.BadRequest, "Message to be replied not found", bot.send_message(person, "a", reply_parameters=gone)
    )


async def media(bot, person):
    document = await bot.send_document(person, b"{}", filename="a.json", caption="tệp")
    check(document.document.file_name == "a.json" and document.caption == "tệp", "upload")
    file = await bot.get_file(document.document.file_id)
    check(bytes(await file.download_as_bytearray()) == b"{}", "download")
    photo = await bot.send_photo(person, b"\xff\xd8" * 1000)
    check(photo.photo[-1].width > photo.photo[0].width, "photo sizes ascend")
    again = await bot.send_photo(person, photo.photo[-1].file_id)
    check(again.photo[-1].file_unique_id == photo.photo[-1].file_unique_id, "a file id can be sent again")
    album = await bot.send_media_group(person, [InputMediaPhoto(b"a"), InputMediaPhoto(photo.photo[-1].file_id)])
    check(len(album) == 2 and album[0].media_group_id == album[1].media_group_id, "album")
    for sent, field in [
        (bot.send_location(person, 21.03, 105.85), "location"),
        (bot.send_venue(person, 21.03, 105.85, "Hồ Gươm", "Hà Nội"), "venue"),
        (bot.send_contact(person, "+84912345678", "Lan"), "contact"),
        (bot.send_voice(person, b"x"), "voice"),
        (bot.send_audio(person, b"x"), "audio"),
        (bot.send_video(person, b"x"), "video"),
        (bot.send_animation(person, b"x"), "animation"),
        (bot.send_sticker(person, b"x"), "sticker"),
    ]:
        check(getattr(await sent, field) is not None, field)
    await refused(error.BadRequest, "Wrong file identifier", bot.send_photo(person, "no such file"))


async def updates(bot, person):
    offset = 0

    async def poll(kind, allowed=None):
        nonlocal offset
        got = await bot.get_updates(offset=offset, timeout=5, allowed_updates=allowed)
        check(len(got) == 1, f"one update, not {len(got)}")
        offset = got[0].update_id + 1
        found = getattr(got[0], kind)
        check(found is not None, f"{kind} in {got[0]}")
        return found

    act = lambda **action: control("/act", {"user": person, **action})
    act(do="text", text="xin chào")
    message = await poll("message")
    check(message.text == "xin chào" and message.from_user.id == person, "text")
    for do, body, field in [
        ("photo", {"caption": "ảnh"}, "photo"),
        ("voice", {}, "voice"),
        ("sticker", {"emoji": "👍"}, "sticker"),
        ("location", {"latitude": 1.5, "longitude": 2.5}, "location"),
        ("contact", {"phone_number": "+84912345678", "first_name": "Lan", "own": True}, "contact"),
    ]:
        act(do=do, **body)
        check(getattr(await poll("message"), field), field)
    act(do="edit", message_id=message.message_id, text="sửa")
    check((await poll("edited_message")).text == "sửa", "edit")
    act(do="react", message_id=message.message_id, emoji="👍")
    check(await bot.get_updates(offset=offset, timeout=0) == (), "reactions must be asked for")
    everything = [kind.value for kind in telegram.constants.UpdateType]
    await bot.get_updates(offset=offset, timeout=0, allowed_updates=everything)
    act(do="react", message_id=message.message_id, emoji="🔥")
    reaction = await poll("message_reaction", everything)
    check(reaction.old_reaction[0].emoji == "👍" and reaction.new_reaction[0].emoji == "🔥", "reaction")
    buttons = InlineKeyboardMarkup([[InlineKeyboardButton("Có", callback_data="yes")]])
    await bot.send_message(person, "?", reply_markup=buttons)
    act(do="press", data="yes")
    query = await poll("callback_query")
    check(query.data == "yes" and query.message.text == "?", "press")
    check(await bot.answer_callback_query(query.id), "answer")
    await refused(error.BadRequest, "Query is too old", bot.answer_callback_query("1"))
    too_long = InlineKeyboardMarkup([[InlineKeyboardButton("x", callback_data="a" * 65)]])
    await refused(error.BadRequest, "Button_data_invalid", bot.send_message(person, "?", reply_markup=too_long))
    act(do="block")
    check((await poll("my_chat_member")).new_chat_member.status == "kicked", "block")
    await refused(error.Forbidden, "Forbidden: bot was blocked by the user", bot.send_message(person, "a"))
    act(do="unblock")
    await poll("my_chat_member")


async def trouble(bot, person):
    control("/faults", {"method": "sendMessage", "fault": {"kind": "too_many_requests", "retry_after": 7}})
    flood = await refused(error.RetryAfter, "Flood control exceeded", bot.send_message(person, "a"))
    check(str(flood.retry_after) in ("7", "0:00:07"), f"retry_after of {flood.retry_after}")
    control("/faults", {"method": "sendMessage", "fault": {"kind": "bad_gateway"}})
    await refused(error.NetworkError, "Bad Gateway", bot.send_message(person, "a"))
    control("/faults", {"method": "sendMessage", "fault": {"kind": "reset_after"}})
    await refused(error.NetworkError, "Error", bot.send_message(person, "did it arrive?"))
    sent = control("/sent", None, "GET")["sent"][-1]
    check(sent["text"] == "did it arrive?", "a reset after the effect leaves the message sent")
    group = control("/groups", {"title": "nhóm", "kind": "group", "members": [person]})["id"]
    new = control("/migrate", {"chat": group})["id"]
    moved = await refused(error.ChatMigrated, "Group migrated", bot.send_message(group, "a"))
    check(moved.new_chat_id == new, "new chat id")
    await bot.set_webhook("http://127.0.0.1:9/hook", secret_token="s")
    info = await bot.get_webhook_info()
    check(info.url == "http://127.0.0.1:9/hook" and info.max_connections == 40, "webhook info")
    await refused(error.Conflict, "can't use getUpdates method while webhook is active", bot.get_updates())
    await bot.delete_webhook(drop_pending_updates=True)
    full = await bot.get_chat(person)
    check(full.type == "private" and full.first_name == "Lan", "chat")
    stranger = telegram.Bot("1:AAunknown", base_url=f"{BASE}/bot")
    await refused(error.InvalidToken, "Unauthorized", stranger.get_me())


async def main():
    control("/settings", {"rate_limits": False})
    person = control("/users", {"first_name": "Lan"})["id"]
    bot = telegram.Bot(TOKEN, base_url=f"{BASE}/bot", base_file_url=f"{BASE}/file/bot")
    async with bot:
        check((await bot.get_me()).username == "omnigate_sandbox_bot", "me")
        await sending(bot, person)
        await media(bot, person)
        await updates(bot, person)
        await trouble(bot, person)
    print(f"python-telegram-bot {telegram.__version__}: {checks} checks hold")


asyncio.run(main())
