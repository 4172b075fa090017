#!/usr/bin/env bash
# with-broker.sh TASK [--filter SCRIPT] COMMAND...: runs a command with KAFKA_BOOTSTRAP_SERVERS on a broker that keeps everything: the one that is
# set, else noida-db (PyPI), which ends with the command. Where it cannot be installed, a line says that TASK is skipped.
# --filter puts a script in front of noida-db that says why it is needed.
# NOIDA_DB names the program (default: the one in a virtual environment, installed when it is missing).
set -euo pipefail
cd "$(dirname "$0")/../../.."

task=$1
shift
script=
if [ "$1" = --filter ]; then
    script=$2
    shift 2
fi
if [ -n "${KAFKA_BOOTSTRAP_SERVERS:-}" ]; then
    exec "$@"
fi

noida=${NOIDA_DB:-}
if [ -z "$noida" ]; then
    folder=$(services/scripts/lib/venv.sh crash noida-db==0.2.3) || {
        echo "SKIPPED $task: there is no noida-db; set KAFKA_BOOTSTRAP_SERVERS to a Kafka of yours." >&2
        exit 0
    }
    noida=$folder/bin/noida-db
fi

. services/scripts/lib/servers.sh
data=$(mktemp -d)
broker_port=$(free_port)
port=$broker_port
filter=
# In a group of its own: the program is a wrapper that does not end its child.
setsid "$noida" start --only kafka --kafka-port "$broker_port" --data-dir "$data/noida" >"$data/noida.log" 2>&1 &
broker=$!
if [ -n "$script" ]; then
    port=$(free_port)
    python3 "$script" "$port" "$broker_port" &
    filter=$!
fi
# The wrapper ends before its child, which may still write while the folder is removed.
clean_up() {
    local status=$?
    set +e
    if [ -n "$filter" ]; then kill "$filter" 2>/dev/null; fi
    kill -- "-$broker" 2>/dev/null
    wait
    for _ in $(seq 50); do
        if rm -rf "$data" 2>/dev/null; then break; fi
        sleep 0.1
    done
    exit "$status"
}
trap clean_up EXIT
KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:$port "$@"
