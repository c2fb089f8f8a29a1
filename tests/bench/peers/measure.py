#!/usr/bin/env python3
"""Measures an SMS gateway that is bound to the SMSC sandbox, and prints what came of it as one line of JSON.

outbound: wrk asks for --url, which submits one message; what reached the SMSC counts.
inbound: the SMSC floods the bind; what the gateway brought to http://127.0.0.1:PORT, with PORT from --url, counts.

The time runs until the last message has arrived, so what the gateway still kept when the load ended is in the rate.
"""

import argparse
import json
import multiprocessing
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

# How long the gateway may take to become ready, and how long nothing may happen before what is missing is called lost.
READY, QUIET = 60, 10
LEAST_QUIET = 0.3
POLL = 0.02
# Longer than any measurement.
ENDLESS = 10**12
TICK = os.sysconf("SC_CLK_TCK")


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("direction", choices=["outbound", "inbound"])
    for name in ["peer", "version", "control", "account", "url", "text"]:
        parser.add_argument(f"--{name}", required=True)
    for name in ["seconds", "window", "connections", "people"]:
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--durable", action="store_true")
    parser.add_argument("--answer", default="", help="what the sink says to every message")
    parser.add_argument("--pid", type=int, action="append", default=[], help="whose CPU time is the gateway's")
    return parser.parse_args()


def fail(why):
    sys.exit(f"tests/bench/peers/measure.py: {why}")


def control(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{asked.control}/control{path}", data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def counter(name):
    return control("/counters")[name]


def cpu_seconds(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            # The name before may hold blanks; user and system time are the 14th and 15th field.
            fields = stat.read().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / TICK


def settled(read, whole):
    """Waits until nothing more happens after `whole` holds of what was read; answers that, and when it was reached."""
    last, reached = read(), time.monotonic()
    while True:
        time.sleep(POLL)
        now, value = time.monotonic(), read()
        if value != last:
            last, reached = value, now
        elif now - reached > (LEAST_QUIET if whole(value) else QUIET):
            return last, reached


def report(started, ended, messages, cpu, client, more):
    elapsed = ended - started
    print(json.dumps({
        "peer": asked.peer,
        "version": asked.version,
        "direction": asked.direction,
        "durable": asked.durable,
        "messages_per_second": round(messages / elapsed, 1),
        "seconds": round(elapsed, 2),
        "messages": messages,
        # What the gateway's own processes took, whatever else the machine did.
        "cpu_us_per_message": round(cpu / messages * 1e6, 1),
        # Cores that the client or the sink took; near 1 it is what was measured.
        "client_cores": round(client / elapsed, 2),
        "load_average": round(os.getloadavg()[0], 2),
        **more,
    }))


def load(seconds):
    """Sends for so many seconds; answers how many the gateway took, how many it did not, and wrk's CPU time."""
    command = ["wrk", "-t1", f"-c{asked.connections}", f"-d{seconds}s", "--timeout", "30s", asked.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
        told = wrk.stdout.read()
        _, status, usage = os.wait4(wrk.pid, 0)
        wrk.returncode = os.waitstatus_to_exitcode(status)
    requests = re.search(r"(\d+) requests in", told)
    if wrk.returncode or not requests:
        fail(f"wrk: {told}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    refused = int(refused[1]) if refused else 0
    return int(requests[1]) - refused, refused, usage.ru_utime + usage.ru_stime


def outbound():
    deadline = time.monotonic() + READY
    before = counter("submits")
    while counter("submits") == before:
        try:
            urllib.request.urlopen(asked.url, timeout=5).close()
        except OSError as error:
            why = error
        else:
            why = "nothing reaches the SMSC"
        if time.monotonic() > deadline:
            fail(f"{asked.peer} does not become ready: {why}")
        time.sleep(0.2)
    load(1)
    before, _ = settled(lambda: counter("submits"), lambda _: True)
    started, cpu = time.monotonic(), cpu_seconds(asked.pid)
    taken, refused, client = load(asked.seconds)
    after, ended = settled(lambda: counter("submits"), lambda submits: submits - before >= taken)
    more = {"refused": refused} if refused else {}
    if taken > after - before:
        more["lost"] = taken - (after - before)
    report(started, ended, after - before, cpu_seconds(asked.pid) - cpu, client, more)


def sink(listener, count, answer):
    """Answers every request at once. Requests have no body, so each ends with the one empty line in it."""
    selector = selectors.DefaultSelector()
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    end = b"\r\n\r\n"
    one = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer)
    rests = {}
    while True:
        for key, _ in selector.select():
            connection = key.fileobj
            if connection is listener:
                try:
                    connection, _ = listener.accept()
                except BlockingIOError:
                    continue
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(connection, selectors.EVENT_READ)
                continue
            try:
                data = connection.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                rests.pop(connection, None)
                selector.unregister(connection)
                connection.close()
                continue
            data = rests.pop(connection, b"") + data
            whole = data.count(end)
            if not data.endswith(end):
                rests[connection] = data.rpartition(end)[2]
            if whole:
                count.value += whole
                try:
                    connection.sendall(one * whole)
                except ConnectionError:
                    pass


def flood(messages):
    people = {"people": asked.people, "text": asked.text}
    control("/flood", {"account": asked.account, "count": messages, "window": asked.window, **people})


def inbound():
    count = multiprocessing.Value("Q", lock=False)
    listener = socket.create_server(("127.0.0.1", urllib.parse.urlsplit(asked.url).port), backlog=1024)
    serving = multiprocessing.Process(target=sink, args=(listener, count, asked.answer.encode()), daemon=True)
    serving.start()
    listener.close()
    deadline = time.monotonic() + READY
    # What comes before all of the gateway is there it may take and forget.
    while not count.value:
        if time.monotonic() > deadline:
            fail(f"{asked.peer} brings nothing to {asked.url}")
        flood(1)
        time.sleep(0.5)

    def flow(seconds):
        """Answers what was brought and acknowledged, when it started and ended, and what was acknowledged a second."""
        brought, acknowledged = count.value, counter("acknowledged")
        read = lambda: (count.value - brought, counter("acknowledged") - acknowledged)
        started = time.monotonic()
        flood(ENDLESS)
        time.sleep(seconds)
        accepted = (counter("acknowledged") - acknowledged) / (time.monotonic() - started)
        flood(0)
        got, ended = settled(read, lambda got: got[0] >= got[1])
        return got, started, ended, accepted

    flow(1)
    cpu, client = cpu_seconds(asked.pid), cpu_seconds([serving.pid])
    (brought, acknowledged), started, ended, accepted = flow(asked.seconds)
    cpu, client = cpu_seconds(asked.pid) - cpu, cpu_seconds([serving.pid]) - client
    if not brought:
        fail(f"{asked.peer} brought nothing")
    more = {"accepted_per_second": round(accepted, 1)}
    if acknowledged > brought:
        more["lost"] = acknowledged - brought
    report(started, ended, brought, cpu, client, more)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
asked = options()
outbound() if asked.direction == "outbound" else inbound()
