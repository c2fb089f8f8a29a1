#!/usr/bin/env python3
"""Says to Jasmin's console what stands on stdin, a line after each prompt: jcli.py PORT"""

import re
import socket
import sys

PROMPT = re.compile(rb"(jcli : |> )$")
# It speaks to a terminal over telnet.
CONTROLS = re.compile(rb"\xff[\xfb-\xfe].|\x1b\[[0-9;?]*[A-Za-z]|\x1b.", re.DOTALL)
REFUSALS = re.compile(r"(?i)error|unknown|incorrect|must|fail|invalid|not found")

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30) as console:

    def answer(to):
        said = b""
        while not PROMPT.search(CONTROLS.sub(b"", said)):
            try:
                data = console.recv(4096)
            except TimeoutError:
                data = b""
            if not data:
                sys.exit(f"after {to!r} the console says no more than {said!r}")
            said += data
        said = CONTROLS.sub(b"", said).decode(errors="replace")
        if to and REFUSALS.search(said.replace(to, "", 1)):
            sys.exit(f"{to}: {said}")

    # To nobody that has to log in it says nothing before it is asked.
    console.sendall(b"\r\n")
    answer("")
    for line in sys.stdin:
        console.sendall(line.strip().encode() + b"\r\n")
        answer(line.strip())
