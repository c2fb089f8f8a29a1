#!/usr/bin/env python3
"""Holds the Twilio sandbox against Twilio's own library, as a client and as the verifier of callbacks.

Usage: twilio_client.py BASE_URL ACCOUNT_SID AUTH_TOKEN   (as the sandbox prints them)
"""

import http.server
import json
import queue
import sys
import threading
import urllib.parse
import urllib.request

from twilio import __version__
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

BASE, ACCOUNT, TOKEN = sys.argv[1:4]
SHOP, PERSON = "+14155550100", "+84912345678"
checks = 0
came = queue.Queue()


def check(holds, what):
    global checks
    checks += 1
    if not holds:
        raise SystemExit(f"not so: {what}")


def control(path, body):
    request = urllib.request.Request(
        f"{BASE}/control{path}", json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        came.put((self.path, self.headers, dict(urllib.parse.parse_qsl(body, keep_blank_values=True))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def refused(code, status, call):
    try:
        call()
    except TwilioRestException as caught:
        check(caught.code == code and caught.status == status, f"{code} with {status}, not {caught}")
        return
    raise SystemExit(f"not refused: {code}")


def genuine(hook, validator):
    """The next callback, verified by the library as a web application would do it."""
    path, headers, form = came.get(timeout=10)
    signature = headers["x-twilio-signature"]
    check(validator.validate(hook + path, form, signature), f"the signature of {path}")
    check(not validator.validate(hook + path, {**form, "Body": "forged"}, signature), "a forged body is found out")
    return path, form


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hook = f"http://127.0.0.1:{server.server_port}"
    validator = RequestValidator(TOKEN)
    client = Client(ACCOUNT, TOKEN)
    client.api.base_url = BASE

    sent = client.messages.create(
        to=PERSON, from_=SHOP, body="Xin chào & hẹn gặp", status_callback=f"{hook}/status?send_key=K&b=%C4%91#rc=2&rp=all"
    )
    check(sent.sid.startswith("SM") and sent.status == "queued", f"created: {sent.status}")
    check(sent.num_segments == "1" and sent.date_created is not None and sent.error_code is None, "fields")
    for status in ("sent", "delivered"):
        path, form = genuine(hook, validator)
        check(path == "/status?send_key=K&b=%C4%91", f"address {path}")
        check(form["MessageSid"] == sent.sid and form["MessageStatus"] == status, f"status {form}")
    check(client.messages(sent.sid).fetch().body == "Xin chào & hẹn gặp", "fetch")
    check(client.messages.list(limit=5)[0].sid == sent.sid, "list")
    check(client.messages.create(to=PERSON, from_=SHOP, media_url=["http://x.example/a.jpg"]).num_media == "1", "media")
    service = client.messages.create(to=PERSON, messaging_service_sid="MG" + "0" * 32, body="a", validity_period=60)
    check(service.status == "accepted" and service.from_ is None, "messaging service")

    create = client.messages.create
    refused(21211, 400, lambda: create(to="nobody", from_=SHOP, body="a"))
    refused(21603, 400, lambda: create(to=PERSON, body="a"))
    refused(21602, 400, lambda: create(to=PERSON, from_=SHOP))
    refused(21617, 400, lambda: create(to=PERSON, from_=SHOP, body="a" * 1601))
    refused(20404, 404, lambda: client.messages("SM" + "f" * 32).fetch())
    stranger = Client(ACCOUNT, "wrong")
    stranger.api.base_url = BASE
    refused(20003, 401, lambda: stranger.messages.create(to=PERSON, from_=SHOP, body="a"))
    control("/faults", {"fault": {"kind": "too_many_requests"}})
    refused(20429, 429, lambda: create(to=PERSON, from_=SHOP, body="a"))
    control("/fates", {"number": PERSON, "fate": {"kind": "failed", "code": "30003"}})
    create(to=PERSON, from_=SHOP, body="a", status_callback=f"{hook}/status")
    check(genuine(hook, validator)[1]["MessageStatus"] == "sent", "sent")
    check(genuine(hook, validator)[1]["ErrorCode"] == "30003", "undelivered")

    control("/settings", {"webhook": f"{hook}/sms"})
    control("/messages", {"from": "0912345678", "to": SHOP, "text": "đừng gửi nữa", "media": [["http://x/a.jpg", "image/jpeg"]]})
    path, form = genuine(hook, validator)
    check(path == "/sms" and form["Body"] == "đừng gửi nữa" and form["From"] == PERSON, f"message {form}")
    check(form["MediaUrl0"] == "http://x/a.jpg" and form["NumMedia"] == "1", "media of a message")
    control("/messages", {"from": PERSON, "to": SHOP, "text": "STOP"})
    check(genuine(hook, validator)[1]["OptOutType"] == "STOP", "opt-out")
    refused(21610, 400, lambda: create(to=PERSON, from_=SHOP, body="a"))
    print(f"twilio {__version__}: {checks} checks hold")


main()
