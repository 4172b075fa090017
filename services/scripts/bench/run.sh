#!/usr/bin/env bash
# make bench: the stream, the producer, the detectors, the scorer and the API, with their peers. Further arguments go to `benchmarks api`.
# VYUHA_BENCH_PYTHON names an interpreter that has the packages of requirements.txt; without it a virtual environment is made.
set -euo pipefail
cd "$(dirname "$0")/../../.."

for tool in wrk taskset redis-server; do
    command -v "$tool" >/dev/null || { echo "SKIPPED bench: there is no $tool. Install it with: apt-get install wrk util-linux redis-server" >&2; exit 0; }
done
peers=()
if [ -n "${VYUHA_BENCH_PYTHON:-}" ]; then
    peers=(--python "$VYUHA_BENCH_PYTHON")
elif folder=$(services/scripts/lib/venv.sh bench -r services/scripts/bench/requirements.txt); then
    peers=(--python "$folder/bin/python")
else
    echo "SKIPPED the peers in Python: their packages are not installed; the ratios to them are left out." >&2
fi
.build/release/benchmarks stream --json .build/bench-stream.json
.build/release/benchmarks alerts --anomalies "${ALERTS:-1000000}"
.build/release/benchmarks detectors "${peers[@]}" --json .build/bench-detectors.json
.build/release/benchmarks scorer --json .build/bench-scorer.json
.build/release/benchmarks producer --json .build/bench-producer.json
.build/release/benchmarks state
services/scripts/lib/with-broker.sh drain --filter services/scripts/bench/fetch-limit.py .build/release/benchmarks drain
.build/release/benchmarks idle
exec .build/release/benchmarks api "${peers[@]}" "$@"
