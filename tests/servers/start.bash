# Servers of a run's own, for scripts that source this file: on free ports, with their data in a temporary folder, stopped by
# their process ids when the script ends. The script defines `die` and `rabbitmq`, the path of the program.
# shellcheck shell=bash

free_port() {
  local port
  while :; do
    port=$((RANDOM % 12000 + 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

# Waits for `$1 …` to succeed, at most two minutes, while process $pid lives.
pid=''
await() {
  local deadline=$((SECONDS + 120))
  until "$@" >/dev/null 2>&1; do
    kill -0 "$pid" 2>/dev/null || return 1
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.2
  done
}

folder=$(mktemp -d "${TMPDIR:-/tmp}/omnigate-tests.XXXXXX")
started=()
# The epmd of whoever started this script is not ours to end.
unset ERL_EPMD_PORT
stop() {
  local code=$? pid
  trap - EXIT INT TERM
  for pid in "${started[@]}"; do
    kill "$pid" 2>/dev/null || true
  done
  for pid in "${started[@]}"; do
    for _ in $(seq 100); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
  done
  [ -z "${ERL_EPMD_PORT:-}" ] || epmd -kill >/dev/null 2>&1 || true
  rm -rf "$folder"
  exit "$code"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

answers() {
  exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
  printf '%b' "$2" >&3
  [ "$(timeout 5 head -c 1 <&3 | od -An -tx1 | tr -d ' ')" = "$3" ]
}

start_redis() {
  local port
  port=$(free_port)
  mkdir "$folder/redis"
  redis-server --port "$port" --bind 127.0.0.1 --dir "$folder/redis" --save '' --appendonly yes --appendfsync always \
    --daemonize no >"$folder/redis.log" 2>&1 &
  pid=$!
  started+=("$pid")
  # "+PONG"
  await answers "$port" 'PING\r\n' 2b || { cat "$folder/redis.log"; die "redis does not start"; }
  export OMNIGATE_TEST_REDIS="redis://127.0.0.1:$port"
}

start_rabbitmq() {
  local port work="$folder/rabbitmq"
  port=$(free_port)
  mkdir "$work"
  printf omnigate-tests >"$work/.erlang.cookie"
  chmod 400 "$work/.erlang.cookie"
  printf '[].' >"$work/enabled_plugins"
  printf 'disk_free_limit.absolute = 50MB\nlog.file.level = warning\nlog.console = false\n' >"$work/rabbitmq.conf"
  # Every node below this run registers with an epmd of its own, which ends with it.
  ERL_EPMD_PORT=$(free_port)
  export ERL_EPMD_PORT ERL_EPMD_ADDRESS=127.0.0.1
  # `detached` makes the script that starts the node become the node, so that its process id is the node's.
  env HOME="$work" detached=yes RABBITMQ_NODENAME="omnigate$port@localhost" RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 \
    RABBITMQ_NODE_PORT="$port" RABBITMQ_DIST_PORT="$(free_port)" RABBITMQ_MNESIA_BASE="$work/mnesia" \
    RABBITMQ_LOG_BASE="$work/log" RABBITMQ_ENABLED_PLUGINS_FILE="$work/enabled_plugins" \
    RABBITMQ_CONFIG_FILE="$work/rabbitmq" RABBITMQ_CONF_ENV_FILE=/dev/null \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+sbwt none' \
    "$rabbitmq" >"$folder/rabbitmq.log" 2>&1 </dev/null &
  pid=$!
  started+=("$pid")
  # The listener opens before the node is ready for a client; a method frame begins with 1.
  await answers "$port" 'AMQP\x00\x00\x09\x01' 01 || { cat "$folder/rabbitmq.log"; die "rabbitmq does not start"; }
  export OMNIGATE_TEST_RABBITMQ="amqp://guest:guest@127.0.0.1:$port"
}
