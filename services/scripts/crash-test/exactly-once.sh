#!/usr/bin/env bash
# make crash-test-exactly-once: the crash test with transactions, services killed and restarted in place as static members.
# With KAFKA_BOOTSTRAP_SERVERS on that broker; without it on noida-db (PyPI), behind aborted-filter.py, which says why it is needed.
# NOIDA_DB names the program (default: the one in .build/crash-venv, installed when it is missing).
set -euo pipefail
cd "$(dirname "$0")/../../.."

test=(.build/release/vyuhactl crash-test --use-case Tests/Tools/SuiteTests/Definitions/crash --recovery in-place)
export VYUHA_DELIVERY=exactly-once
if [ -n "${KAFKA_BOOTSTRAP_SERVERS:-}" ]; then
    exec "${test[@]}" "$@"
fi

noida=${NOIDA_DB:-}
if [ -z "$noida" ]; then
    folder=$(services/scripts/lib/venv.sh crash noida-db==0.2.3) || {
        echo "SKIPPED crash-test-exactly-once: there is no noida-db; set KAFKA_BOOTSTRAP_SERVERS to a Kafka of yours." >&2
        exit 0
    }
    noida=$folder/bin/noida-db
fi

. services/scripts/lib/servers.sh
data=$(mktemp -d)
broker_port=$(free_port)
port=$(free_port)
# In a group of its own: the program is a wrapper that does not end its child.
setsid "$noida" start --only kafka --kafka-port "$broker_port" --data-dir "$data/noida" >"$data/noida.log" 2>&1 &
broker=$!
python3 services/scripts/crash-test/aborted-filter.py "$port" "$broker_port" &
filter=$!
# The wrapper ends before its child, which may still write while the folder is removed.
clean_up() {
    local status=$?
    set +e
    kill "$filter" 2>/dev/null
    kill -- "-$broker" 2>/dev/null
    wait "$filter" "$broker" 2>/dev/null
    for _ in $(seq 50); do
        if rm -rf "$data" 2>/dev/null; then break; fi
        sleep 0.1
    done
    exit "$status"
}
trap clean_up EXIT
KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:$port "${test[@]}" --rate 1000 "$@"
