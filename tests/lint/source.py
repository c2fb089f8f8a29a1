#!/usr/bin/env python3
"""Checks on the Rust sources that no tool makes: source.py size|bans

What counts is what ships: test folders, `tests.rs` and `#[cfg(test)] mod …` blocks are left out.
"""

import pathlib
import re
import subprocess
import sys

LONGEST = 400

# (pattern, where it is allowed, why it is banned elsewhere)
BANS = [
    (
        r"SystemTime::now\(|Zoned::now\(|Timestamp::now\(",
        ["services/runtime/src/clock.rs", "services/sandbox/src/clock.rs"],
        "time comes in as an argument or through the clock, so that tests can say what time it is",
    ),
    (
        # Where the handle is kept, somebody waits.
        r"^\s*(drop\(|let _ = )?tokio::(task::)?spawn\(",
        # The broker and the store know no runtime; each supervises its connection's tasks itself. The binary's tasks end
        # with the process.
        ["services/runtime/src/", "services/broker/src/", "services/store/src/", "services/omnigate/src/"],
        "a task that nobody waits for dies unseen: use a supervised task, a TaskTracker or a JoinSet",
    ),
    (r"unbounded_channel|unbounded\(\)", [], "every queue is bounded"),
    (r"std::sync::mpsc::channel\(|[^_]mpsc::channel\(\)", [], "every queue is bounded: sync_channel"),
    (
        r"process::exit\(",
        ["services/runtime/src/stop.rs", "services/runtime/src/stop/", "services/omnigate/src/"],
        "only the binary and the watchdog end the process",
    ),
]

NOT_SHIPPED = re.compile(r"(^|/)(tests|benches|examples|fuzz)/|(^|/)tests\.rs$")


def sources():
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.rs"], capture_output=True, check=True
    )
    for name in listed.stdout.decode().split("\0"):
        if name and not NOT_SHIPPED.search(name) and pathlib.Path(name).is_file():
            yield name


def shipped(name):
    """The numbered lines that ship. Relies on rustfmt: a block ends with a brace at its own indentation."""
    lines = pathlib.Path(name).read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        if line.strip() == "#[cfg(test)]":
            indent = line[: len(line) - len(line.lstrip())]
            after = number + 1
            while after < len(lines) and lines[after].strip().startswith("#["):
                after += 1
            item = lines[after] if after < len(lines) else ""
            if item.rstrip().endswith("{"):
                while after < len(lines) and lines[after] != indent + "}":
                    after += 1
            number = after + 1
            continue
        yield number + 1, line
        number += 1


def size():
    for name in sources():
        count = sum(1 for _ in shipped(name))
        if count > LONGEST:
            yield f"{name}: {count} lines without tests; at most {LONGEST}: make it two files, each with one idea"


def bans():
    for name in sources():
        for number, line in shipped(name):
            code = line.split("//", 1)[0]
            for pattern, allowed, reason in BANS:
                if re.search(pattern, code) and not any(name.startswith(place) for place in allowed):
                    yield f"{name}:{number}: {line.strip()}\n  {reason}"


def main():
    checks = {"size": size, "bans": bans}
    if len(sys.argv) != 2 or sys.argv[1] not in checks:
        sys.exit(__doc__)
    found = list(checks[sys.argv[1]]())
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)


main()
