#!/usr/bin/env bash
# make crash-test-exactly-once: the crash test with transactions, services killed and restarted in place as static members.
# With KAFKA_BOOTSTRAP_SERVERS on that broker; without it on noida-db (PyPI), behind aborted-filter.py, which says why it is needed.
set -euo pipefail
cd "$(dirname "$0")/../../.."

test=(.build/release/vyuhactl crash-test --use-case Tests/Tools/SuiteTests/Definitions/crash --recovery in-place)
export VYUHA_DELIVERY=exactly-once
if [ -z "${KAFKA_BOOTSTRAP_SERVERS:-}" ]; then test+=(--rate 1000); fi
exec services/scripts/lib/with-broker.sh crash-test-exactly-once --filter services/scripts/crash-test/aborted-filter.py "${test[@]}" "$@"
