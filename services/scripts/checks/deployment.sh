#!/usr/bin/env bash
# The quick checks of Dockerfile, Compose files, rules and dashboards, without an engine. Part of `make test`.
#
# Its tools come from PyPI into .build/tools-venv and from Debian into .build/deployment-tools, and not onto the system. A tool that cannot be fetched is named as skipped;
# with DEPLOYMENT_TOOLS=required a skipped tool is a failure.
set -uo pipefail
cd "$(dirname "$0")/../../.." || exit 1
tools=$PWD/.build/deployment-tools
venv=$(python3 services/scripts/lib/environment.py)
mkdir -p "$tools"
failed=0
skipped=()

run() {
    local title=$1 output
    shift
    if output=$("$@" 2>&1); then
        printf 'deployment: ok       %s\n' "$title"
    else
        printf 'deployment: FAILED   %s\n%s\n' "$title" "$output"
        failed=1
    fi
}

skip() {
    printf 'deployment: skipped  %s\n' "$1"
    skipped+=("$1")
}

# MARK: Tools

# Debian's packages, unpacked and not installed. Compose as Debian 13 has it, since Debian 12 has only Compose 1.
fetch_debian() {
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || return
    if [ -e "$tools/apt-away" ] && [ -n "$(find "$tools/apt-away" -mmin -60)" ]; then return; fi
    rm -f "$tools/apt-away"
    mkdir -p "$tools/debs"
    (cd "$tools/debs" && timeout 20 apt-get download -qq prometheus prometheus-alertmanager >/dev/null 2>&1) || { touch "$tools/apt-away" && return; }
    for package in "$tools"/debs/*.deb; do dpkg -x "$package" "$tools/debian"; done
    rm -rf "$tools/debs"
}

find_tool() {
    local name=$1 place
    for place in "$venv/bin/$name" "$tools/debian/usr/bin/$name"; do
        if [ -x "$place" ]; then echo "$place" && return; fi
    done
    command -v "$name"
}

{ command -v promtool || [ -x "$tools/debian/usr/bin/promtool" ]; } >/dev/null || fetch_debian

# MARK: Checks

yaml_files=(compose services/deploy-test .github)
scripts=(services/scripts/*.sh services/scripts/*/*.sh services/deploy-test/*.sh k8s/*.sh .ci/run)
observability=compose/observability

python=$venv/bin/python
[ -x "$python" ] || python=python3
if "$python" -c 'import yaml' 2>/dev/null; then
    run "files, ports, versions, use cases, dashboards, metric names" "$python" services/scripts/checks/deployment.py
else
    skip "checks/deployment.py (no PyYAML)"
fi
if tool=$(find_tool yamllint); then run "yamllint" "$tool" -s -c compose/.yamllint "${yaml_files[@]}"; else skip yamllint; fi
if tool=$(find_tool hadolint); then run "hadolint" "$tool" --config services/hadolint.yaml services/Dockerfile; else skip hadolint; fi
if tool=$(find_tool shellcheck); then run "shellcheck" "$tool" --shell=bash "${scripts[@]}"; else skip shellcheck; fi
if tool=$(find_tool promtool); then
    run "promtool check config" "$tool" check config $observability/prometheus/prometheus.yaml
    run "promtool test rules" "$tool" test rules $observability/prometheus/*.test.yaml
    if "$python" -c 'import yaml' 2>/dev/null; then
        "$python" services/scripts/checks/deployment.py --print-expressions >"$tools/expressions.yaml"
        run "promtool on every expression of the dashboards" "$tool" check rules --lint=none "$tools/expressions.yaml"
    fi
else
    skip "promtool (Debian package prometheus)"
fi
if tool=$(find_tool amtool); then run "amtool check-config" "$tool" check-config $observability/alertmanager/alertmanager.yaml; else skip "amtool"; fi

if docker compose version >/dev/null 2>&1; then
    for file in compose/*.env; do
        use_case=$(basename "$file" .env)
        [ "$use_case" = "" ] && continue
        run "compose config $use_case" docker compose -f "compose/$use_case.yaml" config -q
        for override in development production; do
            run "compose config $use_case with $override, all profiles" \
                docker compose -f "compose/$use_case.yaml" -f "compose/$override.yaml" --profile full --profile retrain config -q
        done
        run "compose config $use_case of the deployment test" \
            docker compose -f "compose/$use_case.yaml" -f services/deploy-test/compose.yaml --profile full --profile retrain config -q
    done
else
    skip "docker compose config (no Compose plugin here; checks/deployment.py has looked at keys, mounts, volumes and includes)"
fi

if [ ${#skipped[@]} -gt 0 ] && [ "${DEPLOYMENT_TOOLS:-}" = required ]; then failed=1; fi
exit "$failed"
