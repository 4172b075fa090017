#!/usr/bin/env bash
# make sanitize: the whole test suite under ThreadSanitizer and under AddressSanitizer; any report fails it. Each has a build folder of its own.
# SANITIZERS="thread address" chooses; FILTER is a regular expression for `swift test --filter`.
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=services/scripts/sanitize
swift=${SWIFT:-swift}

filter=()
[ -z "${FILTER:-}" ] || filter=(--filter "$FILTER")
for sanitizer in ${SANITIZERS:-thread address}; do
    folder=.build/$sanitizer-sanitizer
    mkdir -p "$folder/reports"
    rm -f "$folder"/reports/*
    $swift build --build-tests --sanitize="$sanitizer" --scratch-path "$folder"
    options="exitcode=66 log_path=$PWD/$folder/reports/report"
    if [ "$sanitizer" = thread ]; then
        cc -shared -fPIC -O1 -o "$folder/c11threads.so" "$here/c11threads.c"
        # Address randomisation that is too large for the sanitizer's shadow memory is switched off.
        run=(setarch -R env LD_PRELOAD="$PWD/$folder/c11threads.so"
            TSAN_OPTIONS="$options suppressions=$PWD/$here/thread-suppressions.txt ignore_noninstrumented_modules=1 second_deadlock_stack=1")
    else
        # The leak checker cannot tell what Swift's runtime and the C libraries keep on purpose until the end of the process.
        run=(env ASAN_OPTIONS="$options detect_leaks=0")
    fi
    "${run[@]}" $swift test --skip-build --sanitize="$sanitizer" --scratch-path "$folder" "${filter[@]}"
    if compgen -G "$folder/reports/*" >/dev/null; then
        cat "$folder"/reports/*
        echo "sanitize: $sanitizer: there are reports." >&2
        exit 1
    fi
    echo "sanitize: $sanitizer: clean"
done
