#!/usr/bin/env bash
# make sanitize: the whole test suite under AddressSanitizer and under ThreadSanitizer; any report fails it. Each has a build folder of its own.
# SANITIZERS="address thread" chooses; TARGETS="RedisClientTests HTTPTests" chooses test targets; LIMIT is the time for one of them, in seconds.
#
# Every test target runs in a process of its own, so one that crashes, hangs or is ended by its sanitizer has a name, and memory stays small.
# The test program is called without `swift test`, which waits forever for one that a sanitizer has ended.
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=$PWD/services/scripts/sanitize
swift=${SWIFT:-swift}
# Of the same toolchain: it knows Swift's calling convention.
clang=$(dirname "$(command -v "$swift")")/clang
limit=${LIMIT:-900}
# Warnings of the linker about the sanitizer's own helpers, a thousand of them.
noise='Cannot export local symbol'
session=
# A test program that is ended leaves its servers and services behind: they are in its session.
end_session() {
    local processes
    # proc(5): id, name in brackets, state, parent, group, session.
    processes=$(cat /proc/[0-9]*/stat 2>/dev/null | sed 's/(.*) //' | awk -v session="${session:-none}" '$5 == session { print $1 }' || true)
    # shellcheck disable=SC2086 # one argument for each
    [ -z "$processes" ] || kill -KILL $processes 2>/dev/null || true
    session=
}
trap end_session EXIT

# The tests in a log that began and did not end.
unfinished() {
    awk '
        { line = substr($0, index($0, " ") + 1) }
        line ~ /^Test .* started\.$/ && line !~ /^Test (run|case) / { sub(/ started\.$/, "", line); running[line] }
        line ~ /^Test .* (passed|failed) after / { for (name in running) if (index(line, name " ") == 1) delete running[name] }
        END { for (name in running) print "    " name }' "$1"
}

# The sanitizer must report what is wrong and nothing else, with the options and the preload of this run.
probe() {
    "${swift}c" -swift-version 6 -parse-as-library -g -sanitize="$sanitizer" "$here/probe.swift" -o "$folder/probe" 2>&1 | grep -v "$noise" || true
    local want code mode
    local -A modes=([mutex]=0)
    if [ "$sanitizer" = thread ]; then modes+=([race]=66 [copy]=66); else modes+=([overflow]=66); fi
    for mode in "${!modes[@]}"; do
        want=${modes[$mode]}
        code=0
        timeout 60 "${run[@]}" "$folder/probe" "$mode" >/dev/null 2>&1 || code=$?
        if [ "$code" -ne "$want" ]; then
            echo "sanitize: $sanitizer: the probe $mode (probe.swift) ended with $code instead of $want: this sanitizer cannot be believed." >&2
            exit 1
        fi
    done
    rm -f "$folder"/reports/report.*
}

mkdir -p .build
$swift package --scratch-path .build/describe dump-package >.build/package.json
failed=()
for sanitizer in ${SANITIZERS:-address thread}; do
    begun=$SECONDS
    folder=$PWD/.build/$sanitizer-sanitizer
    rm -rf "$folder/reports" "$folder/logs"
    mkdir -p "$folder/reports" "$folder/logs"
    $swift build --build-tests --sanitize="$sanitizer" --scratch-path "$folder" 2>&1 | grep -v "$noise"
    options="exitcode=66 log_path=$folder/reports/report handle_sigill=1 handle_sigtrap=1"
    # Swift's own backtracer waits forever for a process under a sanitizer; the sanitizer writes a trace of its own.
    run=(env SWIFT_BACKTRACE=enable=no)
    if [ "$sanitizer" = thread ]; then
        "$clang" -shared -fPIC -O1 -o "$folder/preload.so" "$here"/*.c
        # setarch: address randomisation that is too large for the sanitizer's shadow memory is switched off.
        # ignore_interceptors_accesses=0: memory that our code hands to memcpy, read and the like counts too (the default of Swift's toolchain
        # leaves it out). ignore_noninstrumented_modules=1: not where a library hands it over that is not compiled for the sanitizer (librdkafka,
        # libcurl, Foundation, …): their atomic operations and futexes are not seen, so each hand-over inside them would look like a race.
        # Accesses of our own code are always seen.
        run+=(LD_PRELOAD="$folder/preload.so" setarch -R)
        run+=(env TSAN_OPTIONS="$options ignore_interceptors_accesses=0 ignore_noninstrumented_modules=1 second_deadlock_stack=1")
    else
        # The leak checker cannot tell what Swift's runtime and the C libraries keep on purpose until the end of the process.
        run+=(ASAN_OPTIONS="$options detect_leaks=0")
    fi
    probe
    tests=$folder/debug/vyuhaPackageTests.xctest
    targets=${TARGETS:-$("${run[@]}" "$tests" --testing-library swift-testing --list-tests | grep -oE '^[A-Za-z0-9]+\.' | tr -d . | sort -u)}
    echo "sanitize: $sanitizer: built in $((SECONDS - begun)) s"
    count=0
    for target in $targets; do
        log=$folder/logs/$target.log
        started=$SECONDS
        code=0
        setsid timeout --kill-after=10 "$limit" "${run[@]}" "$tests" --testing-library swift-testing --filter "^$target\\." >"$log" 2>&1 &
        session=$!
        wait "$session" || code=$?
        end_session
        # No summary: the process ended before its tests did.
        result=$(sed -n 's/^.*Test run with \([0-9]* test.*\)$/\1/p' "$log" | tail -n 1)
        echo "sanitize: $sanitizer: $target: ${result:-did not end its tests} ($((SECONDS - started)) s)"
        count=$((count + $(sed -n 's/^\([0-9]*\) test.*/\1/p' <<<"${result:-0 tests}")))
        grep '^➜ Test ' "$log" || true
        reports=$(compgen -G "$folder/reports/report.*" || true)
        if [ "$code" -ne 0 ] || [ -z "$result" ] || [ -n "$reports" ]; then
            failed+=("$sanitizer/$target")
            [ $((SECONDS - started)) -lt "$limit" ] || echo "sanitize: $target did not end within $limit s (LIMIT) and was stopped."
            if [ -z "$result" ]; then
                echo "sanitize: $target ended with code $code in these tests:"
                unfinished "$log"
                tail -n 20 "$log"
            fi
            grep -E '^✘ Test .*(recorded an issue|failed after)' "$log" || true
            if [ -n "$reports" ]; then
                mkdir "$folder/reports/$target"
                cat "$folder"/reports/report.*
                mv "$folder"/reports/report.* "$folder/reports/$target"
            fi
            echo "sanitize: the whole output is in $log"
        fi
    done
    echo "sanitize: $sanitizer: $count tests, $((SECONDS - begun)) s with the build"
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "sanitize: reports or failures in ${failed[*]}" >&2
    exit 1
fi
echo "sanitize: clean"
