#!/bin/sh
# Speaks Kafka's protocol where the official image cannot be pulled: noida-db from PyPI. It takes its folder from Kafka's own variable.
exec noida-db start --only kafka --host kafka --kafka-port 9092 --data-dir "${KAFKA_LOG_DIRS:-/var/lib/kafka/data}"
