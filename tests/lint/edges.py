#!/usr/bin/env python3
"""Which crate may depend on which: the table of services/ARCHITECTURE.md, checked against `cargo metadata`."""

import json
import subprocess
import sys

ROLES = ["edge", "ingest", "unify", "dispatch", "scheduler", "api"]
EVERYTHING = ["proto", "core", "rpc", "runtime", "broker", "store", "adapters", "sandbox", *ROLES]

# Of ours: each crate, and what it may depend on. `proto` is the contract's messages, the model from adapter to store.
OURS = {
    "proto": [],
    "core": ["proto"],
    "rpc": ["proto", "core"],
    "runtime": ["proto", "core"],
    "broker": ["proto", "core"],
    "store": ["proto", "core"],
    "adapters": ["proto", "core"],
    **{role: ["proto", "core", "rpc", "runtime"] for role in ROLES},
    "sandbox": [],
    "servers": [],
    "omnigate": EVERYTHING,
    "tests": [*EVERYTHING, "omnigate", "servers"],
}

# Of ours, for tests only: private servers for everybody; the embedded store and broker where decisions are tried out; the
# sandbox where a session has to meet a peer.
OURS_IN_TESTS = {
    "adapters": ["sandbox"],
    "core": ["store", "broker", "servers"],
    # What is sealed on its way to the broker has its keys in a store.
    "broker": ["store"],
    **{role: ["store", "broker", "servers"] for role in ROLES},
    "omnigate": ["servers"],
}

# Of others: where alone each may appear. `tests` may see everything.
THEIRS = {
    "lapin": (["broker"], "the broker port hides RabbitMQ"),
    "redis": (["store"], "the store port hides Redis"),
    "redb": (["broker", "store"], "only the embedded broker and store are durable by themselves"),
    "axum": (["runtime", "edge", "sandbox"], "only these face HTTP clients"),
    "reqwest": (["edge", "omnigate"], "only the edge calls providers; adapters are given a transport"),
    "tonic": (["rpc", *ROLES, "omnigate"], "the domain and its ports know no transport"),
    "anyhow": (["omnigate"], "libraries name their errors"),
}


def short(name):
    return name.removeprefix("omnigate-")


def packages():
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        sys.exit(answer.stderr)
    return json.loads(answer.stdout)["packages"]


def is_ours(name):
    return name == "omnigate" or name.startswith("omnigate-")


def wrong(package):
    crate = short(package["name"])
    if crate not in OURS:
        yield f"{crate}: not in the table; say in tests/lint/edges.py what it may depend on"
        return
    for dependency in package["dependencies"]:
        name, in_tests = dependency["name"], dependency["kind"] == "dev"
        if is_ours(name):
            allowed = list(OURS[crate])
            if dependency["kind"] == "build":
                allowed.append("proto")
            if in_tests:
                allowed += [*OURS_IN_TESTS.get(crate, []), "servers"]
            if short(name) not in allowed:
                where = " in tests" if in_tests else ""
                yield f"{crate} → {short(name)}: not allowed{where}; {crate} may depend on: {', '.join(allowed) or 'none'}"
        elif name in THEIRS and crate != "tests":
            homes, reason = THEIRS[name]
            if crate not in homes and not in_tests:
                yield f"{crate} → {name}: only {', '.join(homes)} may depend on it ({reason})"


def main():
    found = [line for package in packages() for line in wrong(package)]
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)


main()
