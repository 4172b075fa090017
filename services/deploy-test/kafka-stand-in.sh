#!/bin/sh
# Speaks Kafka's protocol where the official image cannot be pulled: noida-db from PyPI. It takes its folder from Kafka's own variable.
# STAND_IN_FETCH_LIMIT puts fetch-limit.py in front, for who measures the memory of clients: noida-db ignores what a fetch asks for.
data=${KAFKA_LOG_DIRS:-/var/lib/kafka/data}
if [ -n "${STAND_IN_FETCH_LIMIT:-}" ]; then
    noida-db start --only kafka --host kafka --kafka-port 19092 --data-dir "$data" &
    exec python3 -B /usr/local/share/stand-in/bench/fetch-limit.py 9092 19092 kafka
fi
exec noida-db start --only kafka --host kafka --kafka-port 9092 --data-dir "$data"
