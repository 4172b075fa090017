"""Files that Kustomize cannot reach where they live: alerting rules and dashboards of compose/, mirrored into the observability component."""
import re
from collections.abc import Iterator

import yaml

from .render import LOADER
from .tools import ROOT

RULES = ROOT / "compose/observability/prometheus/rules.yaml"
DASHBOARDS = ROOT / "compose/observability/grafana/dashboards"
MIRROR = ROOT / "k8s/components/observability/prometheus-rule.yaml"
HEAD = """# Mirror of compose/observability/prometheus/rules.yaml; `services/scripts/check-kubernetes.py --write` makes it, the checks compare it.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: vyuha
spec:
"""


def mirrored() -> str:
    lines = RULES.read_text().splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("groups:"))
    return HEAD + "".join(("  " + line if line else "") + "\n" for line in lines[start:])


def faults(write: bool) -> Iterator[str]:
    named = re.findall(r"files: \[([\w-]+\.json)\]", (DASHBOARDS / "kustomization.yaml").read_text())
    for name in sorted(set(named) ^ {path.name for path in DASHBOARDS.glob("*.json")}):
        yield f"{DASHBOARDS.relative_to(ROOT)}/kustomization.yaml and the folder differ in {name}."
    if not RULES.exists():
        return
    if write:
        MIRROR.write_text(mirrored())
    if not MIRROR.exists() or MIRROR.read_text() != mirrored():
        yield f"{MIRROR.relative_to(ROOT)} is not the mirror of {RULES.relative_to(ROOT)}; run services/scripts/check-kubernetes.py --write."
    elif yaml.load(MIRROR.read_text(), Loader=LOADER)["spec"] != yaml.load(RULES.read_text(), Loader=LOADER):
        yield f"{MIRROR.relative_to(ROOT)} says something else than {RULES.relative_to(ROOT)}."
