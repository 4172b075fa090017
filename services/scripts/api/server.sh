# For other scripts: a scoring service of their own, with a private Redis and a model trained on the use case's sample.
#   . server.sh; api_up; ... "$VYUHA_API_URL" ...; api_down
# BIN is the folder of the executables (default .build/release, else .build/debug), USE_CASE the use case (default nyc-taxi).
# No Kafka is needed: the stream waits, /predict answers.

# shellcheck source=services/scripts/lib/servers.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/servers.sh"

api_up() {
    local root
    root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
    VYUHA_API_BIN=${BIN:-$root/.build/release}
    [ -x "$VYUHA_API_BIN/scoring-service" ] || VYUHA_API_BIN=$root/.build/debug
    if [ ! -x "$VYUHA_API_BIN/scoring-service" ] || [ ! -x "$VYUHA_API_BIN/trainer" ]; then
        echo "There is no scoring-service and trainer in $VYUHA_API_BIN: build them with: make build" >&2
        return 1
    fi
    VYUHA_API_FOLDER=$(mktemp -d)
    VYUHA_API_LOG=$VYUHA_API_FOLDER/service.log
    local redis_port port
    redis_port=$(free_port)
    port=$(free_port)
    redis-server --bind 127.0.0.1 --port "$redis_port" --save '' --dir "$VYUHA_API_FOLDER" >"$VYUHA_API_FOLDER/redis.log" 2>&1 &
    VYUHA_API_REDIS_PID=$!
    export VYUHA_USE_CASE=$root/services/usecases/${USE_CASE:-nyc-taxi} REDIS_URL=redis://127.0.0.1:$redis_port
    wait_for "$VYUHA_API_REDIS_PID" redis-cli -p "$redis_port" ping || return 1
    "$VYUHA_API_BIN/trainer" fit >"$VYUHA_API_FOLDER/trainer.log" 2>&1 || { cat "$VYUHA_API_FOLDER/trainer.log" >&2; return 1; }
    VYUHA_HOST=127.0.0.1 VYUHA_PORT=$port KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1 "$VYUHA_API_BIN/scoring-service" >"$VYUHA_API_LOG" 2>&1 &
    VYUHA_API_PID=$!
    VYUHA_API_URL=http://127.0.0.1:$port
    wait_for "$VYUHA_API_PID" has_model || { cat "$VYUHA_API_LOG" >&2; return 1; }
}

api_down() {
    kill "${VYUHA_API_PID:-}" "${VYUHA_API_REDIS_PID:-}" 2>/dev/null || true
    wait "${VYUHA_API_PID:-}" "${VYUHA_API_REDIS_PID:-}" 2>/dev/null || true
    rm -rf "${VYUHA_API_FOLDER:-}"
}

has_model() { curl -sf "$VYUHA_API_URL/model" | grep -q '"version"'; }
