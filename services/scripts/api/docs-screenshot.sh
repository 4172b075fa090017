#!/usr/bin/env bash
# A picture of the scoring service's /docs page in a real browser: docs-screenshot.sh OUT.png [URL]
# Without a URL it starts a Redis, trains the use case's model and starts a scoring service of its own, and ends them again.
set -euo pipefail

out=${1:?usage: docs-screenshot.sh OUT.png [URL]}
url=${2:-}
browser=$(command -v chromium || command -v chromium-browser || true)
if [ -z "$browser" ]; then
    echo "SKIPPED docs-screenshot: there is no chromium. Install it with: apt-get install --no-install-recommends chromium" >&2
    exit 0
fi

here=$(cd "$(dirname "$0")" && pwd)
profile=$(mktemp -d)
trap 'rm -rf "$profile"; if [ -n "${VYUHA_API_URL:-}" ]; then api_down; fi' EXIT
if [ -z "$url" ]; then
    # shellcheck source=services/scripts/api/server.sh
    . "$here/server.sh"
    api_up
    url=$VYUHA_API_URL/docs
fi
# "#try" makes the page send its example at once, so that the picture shows an answer. The virtual clock lets its calls come back.
"$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1200,1400 --user-data-dir="$profile" \
    --virtual-time-budget=5000 --screenshot="$out" "$url#try" >/dev/null 2>"$profile/log" || { cat "$profile/log" >&2; exit 1; }
[ -s "$out" ] || { echo "The browser made no picture: $(tail -1 "$profile/log")" >&2; exit 1; }
echo "$out"
