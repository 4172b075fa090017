#!/usr/bin/env bash
# make websocket-test: the WebSockets of the suite's HTTP server against a client that is not ours (PyPI: websockets), see websocket.py.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=$("$here/../lib/venv.sh" websocket-test websockets==15.0.1) || {
    echo "SKIPPED websocket-test: there is no PyPI package websockets." >&2
    exit 0
}
work=$(mktemp -d)
"$here/../../../.build/release/benchmarks" echo >"$work/out" &
server=$!
trap 'kill "$server"; rm -rf "$work"' EXIT
for _ in $(seq 100); do
    grep -q listening "$work/out" && break
    sleep 0.1
done
"$folder/bin/python" "$here/websocket.py" "127.0.0.1:$(sed -n 's/listening on //p' "$work/out")"
