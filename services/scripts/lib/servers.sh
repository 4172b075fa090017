# For scripts that start servers; to be sourced.

# A port that nothing listens on.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# wait_for PID COMMAND...: until the command succeeds, the process ends, or 20 s have passed.
wait_for() {
    local pid=$1 end=$((SECONDS + 20))
    shift
    until "$@" >/dev/null 2>&1; do
        if ! kill -0 "$pid" 2>/dev/null || [ $SECONDS -ge $end ]; then
            echo "A server did not start: $*" >&2
            return 1
        fi
        sleep 0.05
    done
}
