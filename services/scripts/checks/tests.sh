#!/usr/bin/env bash
# Runs every suite of the built tests in a process of its own, several at once; arguments choose suites by parts of their names.
#
# In one process Swift Testing has as many threads as the machine has cores, and a test that waits for a server holds one. A suite that crashes or
# hangs is named, and the others go on. Output of each: .build/tests/<suite>.log.
set -euo pipefail
cd "$(dirname "$0")/../../.."

program=$(echo .build/debug/*PackageTests.xctest)
results=.build/tests
rm -rf "$results" && mkdir -p "$results"
export program results SWIFT_BACKTRACE=enable=no # The backtracer may hang beside the process that crashed.

run() {
    local suite=$1 log=$results/$1.log status=0 start=$SECONDS count
    timeout 600 "$program" --testing-library swift-testing --filter "^${suite//./\\.}/" >"$log" 2>&1 || status=$?
    count=$(sed -nE 's/.*Test run with ([0-9]+) tests? in .*/\1/p' "$log" | tail -1)
    echo "$status ${count:-0} $suite" >"$results/$suite.result"
    if [ "$status" = 0 ]; then
        printf 'ok      %-60s %4s tests %4s s\n' "$suite" "$count" $((SECONDS - start))
    else
        printf 'FAILED  %s (status %s, %s s)\n' "$suite" "$status" $((SECONDS - start))
        grep -vE '^. (Test|Suite) .* (started|passed after)' "$log" | tail -n 80 | sed 's/^/    /'
    fi
}
export -f run

# Those that wait for processes and brokers first, those that only compute last.
suites() {
    local all layer target
    all=$("$program" --testing-library swift-testing --list-tests 2>/dev/null | cut -d/ -f1 | sort -u)
    for layer in Tests/{Tools,Services,Kit,Bridges,Domain,Core} Tests; do
        for target in "$layer"/*Tests; do grep "^${target##*/}\." <<<"$all" || true; done
    done
}

chosen=$(suites)
if [ $# -gt 0 ]; then
    chosen=$(IFS='|'; grep -E "$*" <<<"$chosen") || { echo "There is no suite like $*; $program --testing-library swift-testing --list-tests lists them." >&2; exit 1; }
fi
xargs -P $((4 * $(nproc))) -I{} bash -c 'run {}' <<<"$chosen" || true

grep -hE 'skipped' "$results"/*.log | sed 's/^/    /' || true
cat "$results"/*.result | awk -v seconds=$SECONDS -v wanted="$(wc -l <<<"$chosen")" '
    { tests += $2; suites += 1; if ($1 != 0) failed = failed "\n    " $3 }
    END {
        if (suites < wanted) failed = failed "\n    " wanted - suites " suites without a result"
        printf "Test run with %d tests in %d suites %s after %d seconds.%s\n", tests, suites, failed == "" ? "passed" : "failed", seconds, failed
        exit failed != ""
    }'
