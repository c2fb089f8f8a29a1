#!/usr/bin/env python3
"""Holds the Zalo sandbox against an independent client, PyPI's zalo-sdk.

Usage: zalo_sdk.py BASE_URL APP_ID APP_SECRET OA_SECRET_KEY OA_ID ACCESS_TOKEN REFRESH_TOKEN   (as the sandbox prints them)

The sandbox is only worth something if clients that know the real API cannot tell it apart: this one builds the requests in
its own way (GET with `data` as JSON, multipart uploads, the token in its own header) and tells the errors apart by itself.
The SDK's OAuth address cannot be changed; its form is sent here by hand, and its own reader is given the answer.
"""

import json
import os
import sys
import urllib.request

# This file has the client's name, and its folder comes first in the path.
sys.path = [entry for entry in sys.path if os.path.abspath(entry or ".") != os.path.dirname(os.path.abspath(__file__))]

import requests
import zalo_sdk.oa
import zalo_sdk.zns
from zalo_sdk import ZaloException, ZaloOAAuthTokenExpiredException, ZaloOAException
from zalo_sdk.oa import ZaloAction, ZaloAttachment, ZaloMessageBody, ZaloRecipient

BASE, APP_ID, APP_SECRET, OA_SECRET_KEY, OA_ID, ACCESS_TOKEN, REFRESH_TOKEN = sys.argv[1:]
PHONE = "84912000111"
checks = 0


def check(holds, what):
    global checks
    checks += 1
    if not holds:
        raise SystemExit(f"not so: {what}")


def control(path, body=None, method="POST"):
    request = urllib.request.Request(
        f"{BASE}/control{path}", json.dumps(body).encode(), {"content-type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def refused(kind, code, call):
    try:
        call()
    except ZaloException as caught:
        check(type(caught) is kind, f"{code}: {kind.__name__}, not {type(caught).__name__}: {caught}")
        check(caught._code == code, f"{code}, not {caught._code}: {caught}")
        return caught
    raise SystemExit(f"not refused: {code}")


def client(module, access_token=ACCESS_TOKEN):
    return module.Client(APP_ID, APP_SECRET, access_token=access_token, endpoint_prefix=BASE)


def people(oa, person):
    user = {"user_id": person["user_id"]}
    detail = oa.get_user_detail(**user)["data"]
    check(detail["display_name"] == "Lan" and detail["user_id_by_app"] == person["user_id_by_app"], "detail")
    listed = oa.get_list({"offset": 0, "count": 50})["data"]
    check(listed["total"] == 1 and listed["users"] == [user], "list")
    check(oa.get_list({"offset": 0, "count": 50, "last_interaction_period": "TODAY"})["data"]["total"] == 1, "today")
    refused(ZaloOAException, -210, lambda: oa.get_list({"offset": 0, "count": 51}))
    refused(ZaloOAException, -201, lambda: oa.get_user_detail("1"))
    refused(ZaloOAException, -240, lambda: oa.get_profile(**user))
    refused(ZaloOAException, -240, lambda: oa.get_followers({"offset": 0, "count": 5}))
    refused(ZaloOAException, -240, lambda: oa.get_free_response_quota("m"))
    oa.tag_follower(person["user_id"], "vip")
    check(oa.get_tags_of_oa()["data"] == ["vip"], "tags")
    check(oa.get_user_detail(**user)["data"]["tags_and_notes_info"]["tag_names"] == ["vip"], "tagged")
    oa.rm_follower_from_tag(person["user_id"], "vip")
    oa.rm_tag("vip")
    check(oa.get_tags_of_oa()["data"] == [], "no tags")
    refused(ZaloOAException, -201, lambda: oa.rm_tag("vip"))


def sending(oa, person):
    to = ZaloRecipient(user_id=person["user_id"])
    answer = oa.send_message(to, ZaloMessageBody(text="xin chào"))
    check(answer["error"] == 0 and answer["data"]["user_id"] == person["user_id"], "text")
    written = control("/act", {"person": person["id"], "do": "text", "text": "chào shop"})["message_id"]
    oa.send_message(to, ZaloMessageBody(text="đáp", quote_message_id=written))
    oa.send_message(to, action=ZaloAction("/-heart", written), category="action")
    check(control("/counters", method="GET")["reactions"] == 1, "reaction")
    refused(ZaloOAException, -201, lambda: oa.send_message(to, action=ZaloAction("<3", written), category="action"))

    image = oa.upload_file(b"\x89PNG", "image", "a.png", "image/png")["data"]["attachment_id"]
    media = {"template_type": "media", "elements": [{"media_type": "image", "attachment_id": image}]}
    oa.send_message(to, ZaloMessageBody(text="ảnh", attachment=ZaloAttachment("template", media)))
    token = oa.upload_file(b"%PDF", "file", "hóa đơn.pdf", "application/pdf")["data"]["token"]
    oa.send_message(to, ZaloMessageBody(attachment=ZaloAttachment("file", {"token": token})))
    info = {"title": "Thông tin", "subtitle": "Xin cho biết", "image_url": "https://shop.example/a.png"}
    form = {"template_type": "request_user_info", "elements": [info]}
    oa.send_message(to, ZaloMessageBody(attachment=ZaloAttachment("template", form)))
    buttons = {"buttons": [{"title": "Theo dõi", "type": "oa.query.hide", "payload": "#track"}]}
    oa.send_message(to, ZaloMessageBody(text="?", attachment=ZaloAttachment("template", buttons)))

    sent = control("/sent", method="GET")["sent"]
    check([one["text"] for one in sent] == ["xin chào", "đáp", "ảnh", None, "Thông tin", "?"], "what was sent")
    check(all(one["to"] == person["user_id"] and one["oa_id"] == OA_ID for one in sent), "to whom")
    refused(ZaloOAException, -210, lambda: oa.upload_file(b"x" * (1 << 20) + b"x", "image", "a.png", "image/png"))
    refused(ZaloOAException, -201, lambda: oa.upload_file(b"x", "file", "a.exe", "application/pdf"))
    refused(ZaloOAException, -210, lambda: oa.send_message(to, ZaloMessageBody(text="ế" * 2001)))
    pigeon = ZaloMessageBody(attachment=ZaloAttachment("pigeon", {}))
    refused(ZaloOAException, -233, lambda: oa.send_message(to, pigeon))
    stranger = ZaloRecipient(user_id="1")
    refused(ZaloOAException, -201, lambda: oa.send_message(stranger, ZaloMessageBody(text="a")))
    for category in ("transaction", "media"):
        refused(ZaloOAException, -209, lambda: oa.send_message(to, ZaloMessageBody(text="a"), category=category))


def windows(oa, person):
    to = ZaloRecipient(user_id=person["user_id"])
    check(int(oa.get_zalo_user_quotas(person["user_id"])["data"]["last_interaction"]) > 0, "last interaction")
    quota = oa.get_zalo_oa_quotas("OA", "cs", "sub_quota")["data"][0]
    check(quota["quota_type"] == "sub_quota" and int(quota["remain"]) == int(quota["total"]), "package")
    for why, code in (("blocked", -217), ("inactive", -227), ("restricted", -244)):
        control("/act", {"person": person["id"], "do": "be_unreachable", "why": why})
        refused(ZaloOAException, code, lambda: oa.send_message(to, ZaloMessageBody(text="a")))
    control("/act", {"person": person["id"], "do": "be_unreachable", "why": None})
    silent = control("/people", {"name": "Minh", "interacted": False})
    refused(
        ZaloOAException,
        -232,
        lambda: oa.send_message(ZaloRecipient(user_id=silent["user_id"]), ZaloMessageBody(text="a")),
    )


def templates(zns):
    control("/people", {"name": "Hà", "phone": PHONE})
    data = {"customer_name": "Lê An", "order_code": "DH-1"}
    answer = zns.send_zns_message(PHONE, "300001", data, tracking_id="dh-1")["data"]
    check(answer["quota"]["remainingQuota"] == "4999" and answer["sending_mode"] == "1", "sent")
    sent = control("/sent", method="GET")["sent"][-1]
    check(sent["way"] == "zns" and sent["to"] == PHONE and sent["tracking_id"] == "dh-1", "to the phone")
    listed = zns.get_template_list(0, 100)
    check(listed["metadata"]["total"] == len(listed["data"]) == 4, "templates")
    enabled = zns.get_template_list(0, 100, zalo_sdk.zns.ZNSTemplateStatus.Enabled)["data"]
    check(len(enabled) == 3 and all(one["status"] == "ENABLE" for one in enabled), "enabled ones")
    refused(ZaloException, -132, lambda: zns.get_template_list(0, 101))
    for phone, template, given, code in (
        ("0912000111", "300001", data, -108),
        ("84999999999", "300001", data, -118),
        (PHONE, "1", data, -109),
        (PHONE, "300004", data, -131),
        (PHONE, "300001", {}, -111),
        (PHONE, "300001", {"order_code": "a"}, -1122),
        (PHONE, "300001", {**data, "customer_name": "a" * 31}, -1121),
    ):
        refused(ZaloException, code, lambda: zns.send_zns_message(phone, template, given, tracking_id="t"))
    refused(ZaloException, -132, lambda: zns.send_zns_message(PHONE, "300001", data))
    refused(ZaloException, -127, lambda: zns.send_zns_message(PHONE, "300001", data, "t", dev_mode=True))


def trouble(oa, zns, person):
    to = ZaloRecipient(user_id=person["user_id"])
    cs = "/v3.0/oa/message/cs"
    control("/faults", {"endpoint": cs, "fault": {"kind": "refused", "code": -32}})
    limit = refused(ZaloOAException, -32, lambda: oa.send_message(to, ZaloMessageBody(text="a")))
    check("reached limit call api" in str(limit), f"words of {limit}")
    control("/faults", {"endpoint": cs, "fault": {"kind": "reset_after"}})
    try:
        oa.send_message(to, ZaloMessageBody(text="did it arrive?"))
        raise SystemExit("not reset")
    except requests.ConnectionError:
        sent = control("/sent", method="GET")["sent"][-1]
        check(sent["text"] == "did it arrive?", "a reset after the effect leaves the message sent")
    control("/faults", {"endpoint": cs, "fault": {"kind": "bad_gateway"}})
    try:
        oa.send_message(to, ZaloMessageBody(text="a"))
        raise SystemExit("not refused")
    except ZaloException:
        raise
    except Exception as caught:
        check("502" in str(caught), f"502 in {caught}")


def tokens(oa, zns):
    refused(ZaloOAException, -216, lambda: client(zalo_sdk.oa, "wrong").get_tags_of_oa())
    refused(ZaloOAAuthTokenExpiredException, -124, lambda: client(zalo_sdk.zns, "wrong").get_template_list(0, 5))
    control("/expire")
    refused(ZaloOAAuthTokenExpiredException, -216, oa.get_tags_of_oa)
    refused(ZaloOAAuthTokenExpiredException, -124, lambda: zns.get_template_list(0, 5))
    form = {"app_id": APP_ID, "grant_type": "refresh_token", "refresh_token": REFRESH_TOKEN}

    def refresh():
        return requests.post(f"{BASE}/v4/oa/access_token", data=form, headers={"secret_key": APP_SECRET}).json()

    first, reused = refresh(), refresh()
    oa.check_zalo_oa_error(first)
    oa.check_and_set_token(first)
    check(first["expires_in"] == "90000", "25 hours, as text")
    check(oa.get_tags_of_oa()["error"] == 0, "the new token is good")
    refused(ZaloOAException, reused["error"], lambda: oa.check_zalo_oa_error(reused))
    refused(ZaloException, -1, lambda: oa.check_and_set_token(reused))


def main():
    person = control("/people", {"name": "Lan"})
    oa, zns = client(zalo_sdk.oa), client(zalo_sdk.zns)
    people(oa, person)
    sending(oa, person)
    windows(oa, person)
    templates(zns)
    trouble(oa, zns, person)
    tokens(oa, zns)
    print(f"zalo-sdk 0.3.0: {checks} checks hold")


main()
