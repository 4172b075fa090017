"""What can be known about the deployment files without running them; called by deployment.sh beside it.

    deployment.py                    all checks; exit 1 and a sentence per mistake
    deployment.py --print-metrics    the metrics that dashboards and rules use
    deployment.py --print-expressions   every expression of the dashboards, as a rule file for promtool
"""

import json
import re
import sys
from pathlib import Path

import yaml

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import catalog  # noqa: E402

ROOT = catalog.ROOT
COMPOSE = ROOT / "compose"
DASHBOARDS = sorted((COMPOSE / "observability/grafana/dashboards").glob("*.json"))
RULES = COMPOSE / "observability/prometheus/rules.yaml"

# Made by Prometheus itself.
OF_PROMETHEUS = {"up", "ALERTS"}

mistakes = []


def check(condition, sentence):
    if not condition:
        mistakes.append(sentence)
    return condition


def load(path):
    try:
        return yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        mistakes.append(f"{path.relative_to(ROOT)}: {error}")
        return {}


# --- metrics


def emitted():
    """Every series name that the sources register: metrics.counter("name", …) and its kin; a histogram is three."""
    names = set()
    for source in (ROOT / "Sources").rglob("*.swift"):
        for kind, name in re.findall(r'\.(counter|gauge|computed|histogram)\(\s*"([a-z_:]+)"', source.read_text()):
            names |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return names


def metrics_of(expression):
    """The metric names of an expression: words that are neither label names, functions nor keywords."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\b[a-z_0-9]+\s*\(", "(", bare)
    bare = re.sub(r"(?<![\w:])(and|or|unless|bool|offset|sum|max|min|avg|count|topk)(?![\w:])", "", bare)
    return set(re.findall(r"[a-zA-Z_][a-zA-Z0-9_:]*", re.sub(r"\b\d[\d.a-z]*", "", bare)))


def rules():
    return [rule for group in load(RULES).get("groups", []) for rule in group["rules"]]


def expressions():
    """(where, expression) of every query of every dashboard, with Grafana's variables filled in."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield f"{path.name}, panel \"{panel['title']}\"", (
                    target["expr"].replace("$__rate_interval", "1m").replace("$__range", "1h").replace("$use_case", "x"))


def used():
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    names = {name for rule in rules() for name in metrics_of(rule["expr"])}
    for _, expression in expressions():
        names |= metrics_of(expression)
    return names - recorded - OF_PROMETHEUS, recorded


def check_metrics():
    known = emitted()
    names, recorded = used()
    for name in sorted(names - known):
        check(False, f"The metric {name} is used in a dashboard or rule, and no service registers it.")
    check(len(known) > 20 and len(recorded) > 3, "The metric names of Sources or rules.yaml could not be read; the check looks in the wrong place.")
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    tests = [test for file in RULES.parent.glob("*.test.yaml") for test in load(file)["tests"]]
    tested = {case["alertname"] for test in tests for case in test.get("alert_rule_test", []) if case.get("exp_alerts")}
    for name in sorted(alerts - tested):
        check(False, f"The alert {name} has no test that sees it fire.")


# --- dashboards


def check_dashboards():
    uids, count = {}, 0
    for path in DASHBOARDS:
        try:
            dashboard = json.loads(path.read_text())
        except ValueError as error:
            check(False, f"{path.name} is not JSON: {error}")
            continue
        uid = dashboard.get("uid")
        check(uid and uid not in uids, f"{path.name}: the uid {uid} is missing or that of {uids.get(uid)} too.")
        uids[uid] = path.name
        panels = dashboard["panels"]
        count += len(panels)
        numbers = [panel["id"] for panel in panels]
        check(len(numbers) == len(set(numbers)), f"{path.name}: two panels have the same id.")
        places = [tuple(panel["gridPos"][side] for side in "xy") for panel in panels]
        check(len(places) == len(set(places)), f"{path.name}: two panels stand in the same place.")
        for panel in panels:
            check(panel.get("datasource", {}).get("uid") == "prometheus", f"{path.name}: the panel \"{panel['title']}\" has another data source.")
            check(panel.get("description"), f"{path.name}: the panel \"{panel['title']}\" has no description.")
    check(count >= 20, f"There are {count} panels; 20 are promised.")


# --- compose


SERVICES = {service.name: service.port for service in catalog.services()}
ONE_SHOT = {"topics", "train", "training-data"}


def compose_files():
    return sorted(COMPOSE.glob("*.yaml"))


def check_compose():
    core, seen = load(COMPOSE / "core.yaml"), load(COMPOSE / "observability.yaml")
    services = core["services"] | seen["services"]
    for path in compose_files():
        for name, service in (load(path).get("services") or {}).items():
            image = str(service.get("image", ""))
            check(":latest" not in image, f"{path.name}: {name} runs an image `latest`.")
            for port in service.get("ports", []):
                check(str(port).startswith("127.0.0.1:"), f"{path.name}: {name} publishes {port} to more than this machine.")
    for name, service in services.items():
        check("mem_limit" in service, f"{name} has no memory limit.")
        check(name in ONE_SHOT or name in SERVICES or "healthcheck" in service, f"{name} has no health check.")
        check(name in ONE_SHOT or service.get("restart"), f"{name} says nothing about restarts.")
    dockerfile = (ROOT / "services/Dockerfile").read_text()
    version = catalog.version()
    check(f"ARG VERSION={version}\n" in dockerfile, f"services/Dockerfile has another VERSION than {version}.")
    check(f"VYUHA_VERSION={version}\n" in (COMPOSE / ".env").read_text(), f"compose/.env has another VYUHA_VERSION than {version}.")
    variables = set(re.findall(r"^([A-Z_]+)=", (COMPOSE / ".env").read_text(), re.M))
    for path in [COMPOSE / "core.yaml", COMPOSE / "observability.yaml"]:
        for name, fallback in re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", path.read_text()):
            stated = re.search(rf"^{name}=(.*)$", (COMPOSE / ".env").read_text(), re.M)
            check(not stated or stated.group(1) == fallback, f"{path.name} and .env differ in the default of {name}.")
    check(variables, "compose/.env has no variables.")


def check_readmes():
    """Every variable and metric that a service's own sources name is in its README."""
    for name in SERVICES:
        readme = ROOT / f"services/{name}/README.md"
        text = (readme.read_text() if readme.is_file() else "") + (ROOT / "services/README.md").read_text()
        sources = sorted((ROOT / "Sources/Services" / "".join(word.title() for word in name.split("-"))).rglob("*.swift"))
        check(sources, f"The sources of {name} are not where this check looks.")
        for source in sources:
            code = source.read_text()
            settings = re.findall(r'"(VYUHA_[A-Z_]+)"', code)
            metrics = re.findall(r'\.(?:counter|gauge|computed|histogram)\(\s*"([a-z_]+)"', code)
            for word in {*settings, *metrics}:
                check(f"`{word}" in text, f"services/{name}/README.md does not mention {word}.")


def check_use_cases():
    """A use case and a Compose file for each environment file."""
    for path in COMPOSE.glob("*.env"):
        if path.stem:
            known = (ROOT / f"services/usecases/{path.stem}/usecase.yaml").is_file()
            check(known or path.name == ".env", f"compose/{path.name} is of no use case.")
            check(path.with_suffix(".yaml").is_file() or path.name == ".env", f"compose/{path.name} has no Compose file.")
            check(path.name == ".env" or f"USE_CASE={path.stem}\n" in path.read_text(), f"compose/{path.name} sets another USE_CASE.")


def check_schema():
    """Against the Compose specification's shape, as far as these files use it; `docker compose config` says more where it is there."""
    known = {
        "image", "build", "command", "entrypoint", "environment", "env_file", "depends_on", "healthcheck", "hostname", "restart", "read_only",
        "cap_drop", "cap_add", "security_opt", "stop_grace_period", "logging", "volumes", "ports", "mem_limit", "profiles", "secrets", "tmpfs",
        "pull_policy", "user", "networks", "deploy",
    }
    for path in [*compose_files(), *sorted((ROOT / "services/deploy-test").glob("*.yaml"))]:
        document = load(path)
        for key in document:
            check(key in {"name", "include", "services", "volumes", "secrets", "networks", "configs"} or key.startswith("x-"),
                  f"{path.name}: unknown section {key}.")
        for include in document.get("include", []):
            for part in include["path"] + include["env_file"]:
                check((path.parent / part).is_file(), f"{path.name} includes {part}, which is not there.")
        for name, service in (document.get("services") or {}).items():
            for key in service:
                check(key in known, f"{path.name}: {name} has the unknown key {key}.")
            for volume in service.get("volumes", []):
                source = str(volume).split(":")[0]
                if source.startswith("."):
                    check((path.parent / source).exists(), f"{path.name}: {name} mounts {source}, which is not there.")
                elif not source.startswith("/"):
                    check(source in (document.get("volumes") or {}), f"{path.name}: {name} uses the volume {source}, which is not declared.")


if __name__ == "__main__":
    if "--print-metrics" in sys.argv:
        print("\n".join(sorted(used()[0])))
    elif "--print-expressions" in sys.argv:
        rows = [{"record": f"dashboard:expression:{number}", "expr": expression} for number, (_, expression) in enumerate(expressions())]
        print(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rows}]}))
    else:
        mistakes += catalog.faults()
        for step in (check_schema, check_compose, check_readmes, check_use_cases, check_dashboards, check_metrics):
            step()
        for sentence in mistakes:
            print(sentence)
        sys.exit(1 if mistakes else 0)
