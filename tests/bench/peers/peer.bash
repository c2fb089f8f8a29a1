# What is the same for every peer: its arguments, and the SMSC that it is bound to.
#
#   --seconds N        how long is measured, 10 by default
#   --window N         submissions (inbound: deliveries) that may be unanswered on each bind, 100 by default
#   --binds N          to the SMSC, 1 by default
#   --text TEXT        what is written, in ASCII; inbound a number follows
#   --people N         inbound: how many take turns, 1000 by default
#   --connections N    of the HTTP client that submits
#   --inbound          people write, in place of a client that sends
#   --smsc HOST:PORT --control URL [--account SYSTEM_ID:PASSWORD]
#                      a sandbox that runs already, in place of one of its own
#
# The script sets `peer` and `connections` before it sources this file, and sources tests/servers/start.bash after it.
# shellcheck shell=bash

say() { printf 'tests/bench/peers/%s: %s\n' "$peer" "$*" >&2; }
die() {
  say "$*"
  exit 1
}
# The peer cannot be measured here; the benchmark goes on without it.
missing() {
  say "$*"
  exit 3
}

direction=outbound seconds=10 window=100 binds=1 people=1000 text=hello smsc='' control='' account=omnigate:sandbox1
while [ $# -gt 0 ]; do
  case "$1" in
    --inbound) direction=inbound && shift && continue ;;
    --seconds | --window | --binds | --connections | --text | --people | --smsc | --control | --account) ;;
    *) die "unknown argument: $1" ;;
  esac
  [ $# -gt 1 ] || die "$1 needs a value"
  declare "${1#--}=$2"
  shift 2
done
for number in seconds window binds connections people; do
  [[ ${!number} =~ ^[1-9][0-9]*$ ]] || die "--$number is a whole number above 0"
done
[[ $account == ?*:* ]] || die "--account is SYSTEM_ID:PASSWORD"
[[ -z $smsc || $smsc == ?*:* ]] || die "--smsc is HOST:PORT"
[ -n "$smsc" ] && [ -z "$control" ] && die "--smsc asks for --control"

command -v python3 >/dev/null || missing "python3 is needed: apt-get install python3"
if [ $direction = outbound ]; then
  command -v wrk >/dev/null || missing "wrk, which sends, is needed: apt-get install wrk"
fi

# Starts a null SMSC of the run's own where none was given.
start_smsc() {
  [ -z "$smsc" ] || return 0
  command -v cargo >/dev/null || die "cargo is needed: install Rust from https://rustup.rs"
  cargo build --quiet --release --locked -p omnigate-sandbox --example smsc_sandbox
  : >"$folder/smsc"
  "${CARGO_TARGET_DIR:-target}/release/examples/smsc_sandbox" 127.0.0.1:0 --null --account "$account" \
    --max-binds "$binds" --window "$((window * 2))" >"$folder/smsc" &
  pid=$!
  started+=("$pid")
  await has_two_lines "$folder/smsc" || die "the SMSC does not start"
  { read -r smsc && read -r control; } <"$folder/smsc"
}

has_two_lines() {
  [ "$(wc -l <"$1")" -ge 2 ]
}

# The text as it stands in a URL.
encoded() {
  python3 -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1]))' "$text"
}

# measure ARGUMENT…: what measure.py is told beside what all peers share.
measure() {
  python3 tests/bench/peers/measure.py "$direction" --peer "$peer" --control "$control" --account "${account%%:*}" \
    --seconds "$seconds" --window "$window" --connections "$connections" --text "$text" --people "$people" "$@"
}
