#!/usr/bin/env bash
# make api-test: 1,000 random requests, made by schemathesis (PyPI) from the service's own /openapi.json, against a scoring service of its
# own. None may be answered with a 5xx, a status or a body that the document does not name.
# SCHEMATHESIS names the program (default: one in PATH, or else one of its own below .build); EXAMPLES how many requests for /predict.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
tool=${SCHEMATHESIS:-schemathesis}
if ! command -v "$tool" >/dev/null; then
    folder=$("$here/../lib/venv.sh" api-test schemathesis==4.32.5) || {
        echo "SKIPPED api-test: there is no schemathesis." >&2
        exit 0
    }
    tool=$folder/bin/schemathesis
fi
# shellcheck source=services/scripts/api/server.sh
. "$here/server.sh"
work=$(mktemp -d)
trap 'api_down; rm -rf "$work"' EXIT
api_up

# Validation is stricter than a JSON Schema can say (a day that exists, a repeated field), so refused data is no failure here.
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance
cd "$work"
"$tool" run "$VYUHA_API_URL/openapi.json" --checks "$checks" --exclude-path /ready --phases examples,coverage,fuzzing \
    --max-examples "${EXAMPLES:-1000}" --seed 7 --generation-database none
if grep -q '"level":"error"' "$VYUHA_API_LOG"; then
    echo "The service logged an error:" >&2
    grep '"level":"error"' "$VYUHA_API_LOG" >&2
    exit 1
fi
kill -0 "$VYUHA_API_PID" || { echo "The service died." >&2; exit 1; }
