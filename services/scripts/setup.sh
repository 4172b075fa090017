#!/usr/bin/env bash
# Installs the Debian packages that building and running Vyuha need, with --tests also those of the tests, if any is missing. Says what it
# installs. Safe to run again.
set -euo pipefail

packages=(
    make pkg-config
    librdkafka-dev          # Kafka client and the embedded broker
    libhiredis-dev          # Redis client
    libcurl4-openssl-dev    # HTTP client
    libyaml-dev             # use-case files
    libmicrohttpd-dev       # HTTP server
    libssl-dev              # digests and signatures (libcrypto)
    libsimdjson-dev         # JSON
    zlib1g-dev              # gzip files
    libzstd-dev libsnappy-dev liblz4-dev  # compressed pages of Parquet files
    libpq-dev               # PostgreSQL client
    libmosquitto-dev        # MQTT client
    redis-server            # the private Redis of `vyuhactl up` and of the tests
)

# What `make test` needs on top: real servers for the producer's sources, and real peers of the alert sink's receivers.
if [ "${1:-}" = --tests ]; then
    packages+=(
        nginx
        mosquitto mosquitto-clients
        postgresql
        prometheus-alertmanager
        python3-aiosmtpd        # a mail server
    )
fi

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done

if ! command -v swift >/dev/null; then
    echo "Swift is missing. Install the Swift 6.2 toolchain or a newer one (https://www.swift.org/install/linux/) and run this again." >&2
    exit 1
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -eq 0 ]; then
    root=()
elif command -v sudo >/dev/null; then
    root=(sudo)
else
    echo "These Debian packages are missing, and this is neither root nor is there sudo: ${missing[*]}" >&2
    exit 1
fi
echo "Installing Debian packages: ${missing[*]}"
# The packages of servers would start them; the suite and the tests start private ones.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
    "${root[@]}" chmod +x "$policy"
    trap '"${root[@]}" rm -f "$policy"' EXIT
fi
"${root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "Installed."
