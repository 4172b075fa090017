#!/usr/bin/env bash
# make crash-test-can-fail: the crash test with a stream processor and a scoring service that are wrong on purpose: one build commits offsets
# before the effects, the other lets a former owner of a partition write. Each must be told; a crash test that is content with them fails here.
set -euo pipefail
cd "$(dirname "$0")/../../.."
swift=${SWIFT:-swift}

for fault in COMMIT_FIRST FENCING; do
    folder=.build/broken-$fault
    for product in stream-processor scoring-service; do
        $swift build -c release --static-swift-stdlib --scratch-path "$folder" -Xswiftc "-DVYUHA_BROKEN_$fault" --product "$product"
    done
    # The others are as they should be; the programs of a chain are looked for in one folder.
    mkdir -p "$folder/chain"
    for program in vyuhactl producer trainer feature-writer alert-sink; do cp ".build/release/$program" "$folder/chain/"; done
    cp "$folder/release/stream-processor" "$folder/release/scoring-service" "$folder/chain/"
    if KAFKA_BOOTSTRAP_SERVERS='' "$folder/chain/vyuhactl" crash-test --use-case Tests/Tools/SuiteTests/Definitions/crash "$@" | tee "$folder/output.txt"; then
        echo "crash-test-can-fail: VYUHA_BROKEN_$fault was not noticed." >&2
        exit 1
    fi
    grep '^crash-test: ' "$folder/output.txt" | sed "s/^/VYUHA_BROKEN_$fault: /"
done
echo "crash-test-can-fail: both faults were noticed."
