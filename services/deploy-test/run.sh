#!/usr/bin/env bash
# `make deploy-test`: builds the images, brings a use case up with Compose, disturbs it and sees that nothing is lost. See scenario.py.
#
# Where a Docker Engine with Compose answers, it is used, with the real images of Kafka, Redis, Prometheus and Alertmanager.
# Elsewhere, on Debian 12 as root, a private engine is started below .build/deploy-test and removed again; it pulls nothing: the Swift base is
# made of this machine's toolchain on a debootstrapped Debian, and Debian's Redis and Prometheus and a small Kafka-compatible server stand in.
#
#   USE_CASE      nyc-taxi (default) or battlefield
#   KAFKA_IMAGE   broker image, where a Docker Engine is there that can pull it
#   DEPLOY_TEST_PRIVATE=1   the private engine even where another one answers
#   DEPLOY_TEST_ONLY=pods   only the pods of the Kubernetes manifests, without the scenario
#   DEPLOY_TEST_KEEP=1      keeps the private engine's data, and with it the build cache, for the next run
set -euo pipefail
cd "$(dirname "$0")/../.."
here=services/deploy-test
work=$PWD/.build/deploy-test
bridge=vyuha-deploy0
mkdir -p "$work"

say() { printf '%s\n' "deploy-test: $*"; }
skip() { say "SKIPPED: $*"; exit 0; }

python() {
    [ -x "$work/venv/bin/python" ] || python3 -m venv "$work/venv"
    "$work/venv/bin/python" -c 'import kafka, yaml' 2>/dev/null || "$work/venv/bin/pip" install -q kafka-python==3.0.12 pyyaml==6.0.3 >"$work/pip.log" 2>&1 \
        || skip "kafka-python and PyYAML cannot be installed from PyPI (see $work/pip.log)"
    "$work/venv/bin/python" "$@"
}

# MARK: The private engine

# Debian 13's engine, client, buildx and Compose, unpacked and not installed: Debian 12's engine knows no named build contexts.
fetch_tools() {
    [ -x "$work/tools/usr/sbin/dockerd" ] && return
    say "fetching Debian 13's docker.io, docker-buildx and docker-compose"
    local site apt="$work/apt"
    # shellcheck disable=SC2016  # apt's own variables
    site=$(apt-get indextargets --format '$(SITE) $(CODENAME)' | awk '$2 == "bookworm" { print $1; exit }')
    [ -n "$site" ] || skip "this is not Debian 12, and no Docker Engine answers"
    mkdir -p "$apt"/{lists/partial,cache/archives/partial} && : >"$apt/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site trixie main" >"$apt/sources.list"
    local options=(-o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null -o "Dir::State::lists=$apt/lists"
        -o "Dir::Cache=$apt/cache" -o "Dir::State::status=$apt/status" -o APT::Sandbox::User=root)
    apt-get "${options[@]}" update -qq
    (cd "$apt/cache" && apt-get "${options[@]}" download -qq docker.io docker-cli docker-buildx docker-compose)
    for package in "$apt"/cache/*.deb; do dpkg -x "$package" "$work/tools"; done
}

# runc and containerd must be the system's own.
install_packages() {
    local missing=()
    for package in containerd runc iptables iproute2 debootstrap; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return
    say "installing Debian packages: ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

start_engine() {
    mkdir -p "$work/engine" "$work/client/cli-plugins"
    cp "$work"/tools/usr/libexec/docker/cli-plugins/docker-{buildx,compose} "$work/client/cli-plugins/"
    had_run=0 && [ -e /var/run/docker ] && had_run=1
    export PATH=$work/tools/usr/bin:$work/tools/usr/sbin:$PATH DOCKER_CONFIG=$work/client DOCKER_HOST=unix://$work/engine/sock
    # A bridge of its own, so that docker0, which may be another engine's, stays as it is.
    ip link add "$bridge" type bridge 2>/dev/null || true
    { ip addr replace 172.30.0.1/24 dev "$bridge" && ip link set "$bridge" up; } || skip "a network bridge cannot be made here"
    # A group of its own: Ctrl-C must reach this script, which then stops the engine in order.
    setsid dockerd --data-root "$work/engine/data" --exec-root "$work/engine/exec" -p "$work/engine/pid" -H "$DOCKER_HOST" \
        --bridge "$bridge" --default-address-pool base=172.31.0.0/16,size=24 >"$work/engine.log" 2>&1 &
    engine=$!
    trap stop_engine EXIT
    for _ in $(seq 100); do
        docker info >/dev/null 2>&1 && return
        kill -0 "$engine" 2>/dev/null || break
        sleep 0.2
    done
    skip "the private Docker Engine does not start here (see $work/engine.log)"
}

stop_engine() {
    status=$?
    trap - EXIT
    kill "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
    ip link del "$bridge" 2>/dev/null || true
    [ "$had_run" = 1 ] || rm -rf /var/run/docker
    rm -rf "$work/engine/exec" "$work/engine/sock" "$work/engine/pid"
    [ -n "${DEPLOY_TEST_KEEP:-}" ] || rm -rf "$work/engine"
    exit "$status"
}

# The images that would be pulled: a Debian, on it the Swift toolchain of this machine, and the servers.
make_bases() {
    local rootfs=$work/rootfs toolchain
    if [ ! -e "$rootfs/complete" ]; then
        say "bootstrapping Debian 12"
        rm -rf "$rootfs"
        debootstrap --variant=minbase --include=ca-certificates,bash bookworm "$rootfs" >"$work/debootstrap.log"
        cp /etc/resolv.conf "$rootfs/etc/"
        printf '#!/bin/sh\nexit 101\n' >"$rootfs/usr/sbin/policy-rc.d" && chmod +x "$rootfs/usr/sbin/policy-rc.d"
        touch "$rootfs/complete"
    fi
    if ! docker image inspect vyuha-stand-in/servers >/dev/null 2>&1; then
        say "making the stand-in for Kafka, Redis, Prometheus and Alertmanager"
        cp -a "$rootfs" "$work/servers"
        chroot_install "$work/servers" redis-server prometheus prometheus-alertmanager python3
        ln -sf prometheus-alertmanager "$work/servers/usr/bin/alertmanager"
        "$work/venv/bin/pip" download -q --no-deps -d "$work/wheel" noida-db==0.2.3
        python -m zipfile -e "$work"/wheel/noida_db-*.whl "$work/wheel"
        install -m 755 "$work/wheel/noida_db/noida-db" "$work/servers/usr/local/bin/noida-db"
        install -m 755 "$here/kafka-stand-in.sh" "$work/servers/usr/local/bin/kafka-stand-in"
        install -D -t "$work/servers/usr/local/share/stand-in/bench" services/scripts/bench/fetch-limit.py
        install -D -t "$work/servers/usr/local/share/stand-in/crash-test" services/scripts/crash-test/aborted-filter.py
        tar -c -C "$work/servers" . | docker import --change 'CMD ["kafka-stand-in"]' - vyuha-stand-in/servers >/dev/null
        rm -rf "$work/servers" "$work/wheel"
    fi
    if ! docker image inspect vyuha-stand-in/swift >/dev/null 2>&1; then
        say "making the Swift base of this machine's toolchain"
        toolchain=$(dirname "$(dirname "$(readlink -f "$(command -v swift)")")")
        cp -a "$rootfs" "$work/swift"
        # What the toolchain needs, and what setup.sh would install in the image, so that the build needs no network.
        # shellcheck disable=SC2046  # a word is a package
        chroot_install "$work/swift" binutils-gold git libc6-dev libgcc-12-dev libstdc++-12-dev libxml2 libncurses6 libedit2 libsqlite3-0 tzdata \
            $(sed -n '/^packages=(/,/^)/p' services/scripts/setup.sh | sed -e 's/#.*//' -e '/[()]/d')
        tar -c -C "$work/swift" . -C / --exclude='*lldb*' --exclude='*sourcekit*' --exclude='*/bin/clangd' --exclude='*/bin/docc' \
            "${toolchain#/}" \
            | docker import --change "ENV PATH=$toolchain/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" - vyuha-stand-in/swift \
                >/dev/null
        rm -rf "$work/swift"
    fi
    export KAFKA_IMAGE=vyuha-stand-in/servers REDIS_IMAGE=vyuha-stand-in/servers
    export PROMETHEUS_IMAGE=vyuha-stand-in/servers ALERTMANAGER_IMAGE=vyuha-stand-in/servers
    build_options=(--build-context swift:6.3.1-bookworm=docker-image://vyuha-stand-in/swift)
}

chroot_install() {
    local root=$1
    shift
    chroot "$root" sh -c "apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $* && apt-get clean" \
        >"$work/chroot.log" 2>&1
}

# MARK: The run

build_options=()
if [ -z "${DEPLOY_TEST_PRIVATE:-}" ] && docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then
    say "using the Docker Engine that answers here"
else
    [ "$(id -u)" -eq 0 ] || skip "no Docker Engine with Compose answers, and only root can start a private one"
    command -v apt-get >/dev/null || skip "no Docker Engine with Compose answers, and a private one is only known on Debian 12"
    command -v swift >/dev/null || skip "the private engine pulls nothing, so the images need a Swift toolchain on this machine"
    python -c 'import kafka, yaml'
    install_packages
    fetch_tools
    start_engine
    make_bases
fi

# shellcheck disable=SC2013  # a word is a name
for target in $(sed -n 's/^  - name: //p' services/catalog.yaml); do
    say "image vyuha/$target"
    docker buildx build --quiet --load --file services/Dockerfile "${build_options[@]}" --target "$target" --tag "vyuha/$target:deploy-test" . >/dev/null
done
export VYUHA_VERSION=deploy-test
if [ "${DEPLOY_TEST_ONLY:-}" != pods ]; then python "$here/scenario.py" "${USE_CASE:-nyc-taxi}"; fi
# The same images once more, as the pods of the Kubernetes manifests.
say "the pods of k8s/overlays/${USE_CASE:-nyc-taxi}"
services/scripts/kubernetes/manifest-containers.py run "${USE_CASE:-nyc-taxi}"
