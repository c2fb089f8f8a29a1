# `just` lists these. Without it: every recipe is one or two lines that can be typed.

export PATH := env("PATH") + ":" + justfile_directory() / ".tools/bin"

# List the recipes
default:
    @just --list --unsorted

# Run the gateway from source: `just run demo`, `just run serve --role unify`
run *arguments="demo":
    cargo run -p omnigate -- {{ arguments }}

# Run every test, with a RabbitMQ and a Redis of its own: `just test`, `just test identity`
test *names:
    tests/run {{ names }}

# Check everything that can be checked without running it: `just lint`, `just lint fmt clippy`
lint *checks:
    tests/lint/run {{ checks }}

# Format every Rust file; `cargo fmt` does not see the modules that a macro declares
fmt:
    git ls-files -z --cached --others --exclude-standard -- '*.rs' | xargs -0 rustfmt --edition 2024

# Check the contract's style and that nothing in it breaks
proto-lint:
    tests/lint/run proto breaking

# What a change must pass before it is taken
ci:
    .ci/run

# Hold the sandbox against clients that others wrote
interop:
    tests/interop/run

# Play this many random schedules, with crashes, against the core
sim-long schedules="100000":
    OMNIGATE_SIM_SCHEDULES={{ schedules }} cargo test --release --locked -p omnigate-core --test simulation --test outbound --test identity --test campaign

# So many messages, merges and splits on real Redis, and a quarter as many on a cluster that loses masters
identity-long operations="10000":
    OMNIGATE_IDENTITY_OPERATIONS={{ operations }} tests/run -p omnigate-tests --no-capture keep_what_is_promised keeps_what_is_promised

# Fuzz each target for so many seconds; needs the nightly compiler
fuzz-long seconds="600":
    tests/lint/tools cargo-fuzz
    for target in services/adapters/fuzz/fuzz_targets/*.rs; do \
        cargo +nightly fuzz run --fuzz-dir services/adapters/fuzz "$(basename "$target" .rs)" -- -max_total_time={{ seconds }} || exit 1; \
    done

# Run the whole gateway under faults for so many seconds
faults-long seconds="600":
    NEXTEST_SUCCESS_OUTPUT=final OMNIGATE_FAULTS_SECONDS={{ seconds }} tests/run -p omnigate-tests nothing_acknowledged

# Measure on a RabbitMQ and a Redis of its own, then on the embedded ones: `just bench`, `just bench outbound --channel sms`
bench *arguments:
    tests/bench/run {{ arguments }}

# CI's longer tier: random schedules, every fuzz target for a minute, random faults, every benchmark once
ci-long fuzz_seconds="60" fault_seconds="240": sim-long identity-long (fuzz-long fuzz_seconds) (faults-long fault_seconds) bench-smoke

# Every benchmark for a second: whether it runs and counts every message once, not how fast
bench-smoke:
    tests/bench/run inbound --seconds 1 --rounds 1
    tests/bench/run inbound --channel sms --seconds 1 --rounds 1
    tests/bench/run outbound --channel sms --seconds 1 --rounds 1
    tests/bench/run timeline --customers 20 --messages 10 --longest 1000 --pages 20
