#!/usr/bin/env bash
# make bench: the API benchmark with its peers. Further arguments go to `benchmarks api`.
# VYUHA_BENCH_PYTHON names an interpreter that has the packages of requirements.txt; without it a virtual environment is made.
set -euo pipefail
cd "$(dirname "$0")/../../.."

for tool in wrk taskset redis-server; do
    command -v "$tool" >/dev/null || { echo "SKIPPED bench: there is no $tool. Install it with: apt-get install wrk util-linux redis-server" >&2; exit 0; }
done
peers=()
if python=${VYUHA_BENCH_PYTHON:-$(services/scripts/bench/venv.sh)}; then
    peers=(--python "$python")
else
    echo "SKIPPED the FastAPI servers: their packages are not installed; the ratios to them are left out." >&2
fi
.build/release/benchmarks stream --json .build/bench-stream.json
.build/release/benchmarks alerts --anomalies "${ALERTS:-1000000}"
exec .build/release/benchmarks api "${peers[@]}" "$@"
