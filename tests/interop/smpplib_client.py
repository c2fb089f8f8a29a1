#!/usr/bin/env python3
"""Holds the SMSC sandbox against an independent ESME, python-smpplib.

Usage: smpplib_client.py HOST:PORT CONTROL   (as the sandbox prints them; account omnigate:sandbox1)

It reads every PDU with its own codec, and splits and encodes long messages itself.
"""

import json
import logging
import re
import sys
import urllib.request

from smpplib import client, consts, exceptions, gsm, smpp

(HOST, PORT), CONTROL = sys.argv[1].split(":"), sys.argv[2]
SYSTEM_ID, PASSWORD = "omnigate", "sandbox1"
PERSON, SENDER = "84912345678", "OMNIGATE"
# esm_class of an SMSC delivery receipt; the library has no word for it.
RECEIPT = 0x04
checks = 0
logging.disable(logging.WARNING)


def check(holds, what):
    global checks
    checks += 1
    if not holds:
        raise SystemExit(f"not so: {what}")


def control(path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"{CONTROL}/control{path}", data, {"content-type": "application/json"}, method=method
    )
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def connected():
    esme = client.Client(HOST, PORT, timeout=10, allow_unknown_opt_params=True)
    esme.connect()
    return esme


def bound(kind="transceiver"):
    esme = connected()
    response = getattr(esme, f"bind_{kind}")(system_id=SYSTEM_ID, password=PASSWORD)
    check(response.command == f"bind_{kind}_resp" and response.status == 0, f"bind as {kind}")
    check(response.system_id == b"SANDBOX", f"the system id in {response.system_id}")
    return esme


def gone(esme):
    response = esme.unbind()
    check(response.command == "unbind_resp" and response.status == 0, "unbind")
    esme.disconnect()


def refused(status, what, call):
    try:
        call()
    except exceptions.PDUError as error:
        check(error.args[1] == status, f"{what}: {status:#x}, not {error}")
        return
    raise SystemExit(f"not refused: {what}")


def submit(esme, octets, **fields):
    sent = esme.send_message(
        source_addr_ton=consts.SMPP_TON_ALNUM,
        source_addr=SENDER,
        dest_addr_ton=consts.SMPP_TON_INTL,
        dest_addr_npi=consts.SMPP_NPI_ISDN,
        destination_addr=PERSON,
        short_message=octets,
        **fields,
    )
    return sent.sequence


def answer(esme, sequence):
    response = esme.read_pdu()
    check(response.command == "submit_sm_resp", f"an answer, not {response.command}")
    check(response.sequence == sequence, "sequence numbers match")
    return response


def delivered(esme, status=consts.SMPP_ESME_ROK):
    pdu = esme.read_pdu()
    check(pdu.command == "deliver_sm", f"deliver_sm, not {pdu.command}")
    response = smpp.make_pdu("deliver_sm_resp", client=esme, status=status)
    response.sequence = pdu.sequence
    esme.send_pdu(response)
    return pdu


def texts():
    return control(f"/texts?to={PERSON}")["texts"]


def binds():
    for kind in ["transmitter", "receiver", "transceiver"]:
        gone(bound(kind))
    for system_id, password, status in [
        (SYSTEM_ID, "wrong", consts.SMPP_ESME_RINVPASWD),
        ("nobody", PASSWORD, consts.SMPP_ESME_RINVSYSID),
    ]:
        esme = connected()
        refused(status, system_id, lambda: esme.bind_transceiver(system_id=system_id, password=password))
        esme.disconnect()


def submissions():
    esme = bound()
    parts, coding, _ = gsm.make_parts("5€ [x] à la carte")
    response = answer(esme, submit(esme, parts[0], data_coding=coding))
    check(re.fullmatch(rb"\d{10}", response.message_id), f"an id, not {response.message_id}")
    for text in ["Xin chào, đường số 5 👋", "a" * 400, "Đơn hàng đã xác nhận. " * 12]:
        parts, coding, esm_class = gsm.make_parts(text)
        for part in parts:
            check(answer(esme, submit(esme, part, data_coding=coding, esm_class=esm_class)).status == 0, "a piece")
        whole = texts()[-1]
        check(whole["text"] == text and whole["pieces"] == len(parts), f"{len(parts)} pieces: {text[:20]}")
    check(texts()[0]["text"] == "5€ [x] à la carte", "the GSM alphabet")
    long = "p" * 700
    fields = {"sm_length": 0, "message_payload": long.encode()}
    check(answer(esme, submit(esme, b"", **fields)).status == 0, "message_payload")
    check(texts()[-1]["text"] == long, "message_payload is one text")
    control("/faults", {"fault": {"kind": "status", "status": 0x58}})
    response = answer(esme, submit(esme, b"x"))
    check(response.status == consts.SMPP_ESME_RTHROTTLED and response.is_error(), "throttled")
    check(answer(esme, submit(esme, b"x")).status == 0, "and then no more")
    response = answer(esme, submit(esme, b"\x00d" * 71, data_coding=8))
    check(response.status == consts.SMPP_ESME_RINVMSGLEN, "more than the air carries")
    gone(esme)


def receipts():
    esme = bound()
    asked = {"registered_delivery": consts.SMPP_SMSC_DELIVERY_RECEIPT_BOTH}

    def receipt(form=None, **plan):
        control("/receipts", {"times": 1, "plan": {**plan, "form": form or {}}})
        message_id = answer(esme, submit(esme, b"hello", **asked)).message_id
        got = delivered(esme)
        check(got.esm_class == RECEIPT, "a receipt's esm_class")
        return message_id, got

    message_id, got = receipt()
    parsed = re.fullmatch(
        rb"id:(\S+) sub:001 dlvrd:001 submit date:(\d{10}) done date:(\d{10}) stat:(\w{7}) err:(\w{3}) text:hello",
        got.short_message,
    )
    check(parsed and parsed[1] == message_id and parsed[4] == b"DELIVRD", f"a receipt: {got.short_message}")
    check(got.receipted_message_id == message_id and got.message_state == 2, "its TLVs")
    check(got.source_addr == PERSON.encode() and got.destination_addr == SENDER.encode(), "its addresses")
    _, got = receipt(state="undeliverable", error="27A")
    check(b"stat:UNDELIV err:27A" in got.short_message and got.message_state == 5, "undeliverable")
    message_id, got = receipt({"in_payload": True, "trailing_nul": True, "network_error": "ascii"})
    check(not got.short_message and got.message_payload.startswith(b"id:" + message_id), "in message_payload")
    check(got.message_payload.endswith(b"\0"), "a NUL at its end")
    message_id, got = receipt({"text": False})
    check(not got.short_message and got.receipted_message_id == message_id, "TLVs only")
    gone(esme)


def people():
    esme = bound("receiver")
    write = lambda text, **more: control("/write", {"from": f"+{PERSON}", "to": "8088", "text": text, **more})
    write("hello [x]")
    got = delivered(esme)
    check(got.short_message == b"hello \x1b<x\x1b>" and got.data_coding == 0, "GSM")
    check(got.source_addr == PERSON.encode() and got.destination_addr == b"8088", "from whom to whom")
    write("chào đ", tlvs=[[0x1454, "00ff"]])
    got = delivered(esme)
    check(got.short_message.decode("utf-16-be") == "chào đ" and got.data_coding == 8, "UCS-2, and an unknown TLV")
    text = "Tôi muốn đặt hàng. " * 8
    write(text)
    pieces = [delivered(esme) for _ in range(3)]
    check(all(piece.esm_class == consts.SMPP_GSMFEAT_UDHI for piece in pieces), "UDHI")
    check([piece.short_message[:3] + piece.short_message[4:6] for piece in pieces]
          == [bytes([5, 0, 3, 3, number]) for number in (1, 2, 3)], "user data headers")
    check(b"".join(piece.short_message[6:] for piece in pieces).decode("utf-16-be") == text, "whole again")
    write(text, long="sar")
    pieces = [delivered(esme) for _ in range(3)]
    check([(piece.sar_total_segments, piece.sar_segment_seqnum) for piece in pieces] == [(3, 1), (3, 2), (3, 3)], "sar")
    check(len({piece.sar_msg_ref_num for piece in pieces}) == 1, "one reference")
    write(text, long="payload")
    check(delivered(esme).message_payload.decode("utf-16-be") == text, "message_payload")
    write("again")
    delivered(esme, consts.SMPP_ESME_RX_T_APPN)
    check(delivered(esme).short_message == b"again", "put off, it comes again")
    write("unacknowledged")
    check(esme.read_pdu().short_message == b"unacknowledged", "it comes")
    esme.disconnect()
    esme = bound("receiver")
    check(delivered(esme).short_message == b"unacknowledged", "and again after the next bind")
    control("/alert", {"from": PERSON, "to": SENDER})
    check(esme.read_pdu().command == "alert_notification", "alert")
    control("/unbind", {})
    pdu = esme.read_pdu()
    check(pdu.command == "unbind", "the SMSC unbinds")
    response = smpp.make_pdu("unbind_resp", client=esme)
    response.sequence = pdu.sequence
    esme.send_pdu(response)
    esme.disconnect()


binds()
submissions()
receipts()
people()
print(f"python-smpplib: {checks} checks hold")
