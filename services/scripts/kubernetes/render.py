"""Renderings: Kustomize overlays with any set of components, and the Helm chart."""
import hashlib
import itertools
import json
import os
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lib.environment import ROOT

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
OVERLAYS = ROOT / "k8s" / "overlays"
USE_CASES = ROOT / "services" / "usecases"
# Components that a user adds; `kafka-tls` is for an external Kafka only.
OPTIONAL = ["network-policy", "autoscaling", "observability", "webhook"]
GROUP = 4
KAFKA = [[], ["external-kafka"], ["external-kafka", "kafka-tls"]]


@dataclass
class Rendering:
    """What one `kubectl apply -k` or one release would send."""

    title: str
    use_case: str
    components: list[str]
    objects: list[dict]
    namespace: str
    # Secrets and ConfigMaps that a person makes, as the README of a component says.
    outside: set[str] = field(default_factory=set)

    def of(self, *kinds: str) -> list[dict]:
        return [o for o in self.objects if o["kind"] in kinds]

    def find(self, kind: str, name: str) -> dict | None:
        return next((o for o in self.of(kind) if o["metadata"]["name"] == name), None)

    def pods(self) -> list[tuple[dict, dict]]:
        """Owner and pod template of everything that makes pods."""
        result = []
        for owner in self.objects:
            if owner["kind"] in ("StatefulSet", "Deployment", "DaemonSet", "Job"):
                result.append((owner, owner["spec"]["template"]))
            elif owner["kind"] == "CronJob":
                result.append((owner, owner["spec"]["jobTemplate"]["spec"]["template"]))
            elif owner["kind"] == "Pod":
                result.append((owner, owner))
        return result


def bytes_of(quantity: str) -> float:
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(quantity)).groups()
    return float(number) * {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}[unit]


def environment(r: Rendering, container: dict, field: Callable[[str], str], secret: Callable[[str, dict], str | None]) -> dict[str, str]:
    """The variables that the kubelet would give the container. `field` knows the pod's own fields; `secret` the value for a variable that refers
    to a Secret's key, None where it has none."""
    maps = {o["metadata"]["name"]: o.get("data", {}) for o in r.of("ConfigMap")}
    result: dict[str, str] = {}
    for source in container.get("envFrom", []):
        result |= maps.get(source["configMapRef"]["name"], {})
    for variable in container.get("env", []):
        name, origin = variable["name"], variable.get("valueFrom", {})
        if "value" in variable:
            result[name] = re.sub(r"\$\((\w+)\)", lambda m: result.get(m.group(1), m.group(0)), variable["value"])
        elif "fieldRef" in origin:
            result[name] = field(origin["fieldRef"]["fieldPath"])
        elif "secretKeyRef" in origin:
            value = secret(name, origin["secretKeyRef"])
            if value is not None:
                result[name] = value
    return result


def load_all(text: str) -> list[dict]:
    return [document for document in yaml.load_all(text, Loader=LOADER) if document]


def use_case(name: str) -> dict:
    return yaml.load((USE_CASES / name / "usecase.yaml").read_text(), Loader=LOADER)


def kustomization(name: str) -> dict:
    return yaml.load((OVERLAYS / name / "kustomization.yaml").read_text(), Loader=LOADER)


def kustomize(kubectl: str, folder: Path) -> list[dict]:
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"kubectl kustomize {folder.relative_to(ROOT)}: {done.stderr.strip()}")
    return load_all(done.stdout)


def outside(components: list[str]) -> set[str]:
    """Names that a component's README tells the user to make."""
    names: set[str] = set()
    for component in components:
        readme = ROOT / "k8s" / "components" / component / "README.md"
        if readme.exists():
            names |= set(re.findall(r"create secret generic ([a-z0-9-]+)", readme.read_text()))
    return names


def overlays(kubectl: str) -> list[Rendering]:
    """Each overlay as it is."""
    result = []
    for folder in sorted(OVERLAYS.iterdir()):
        own = kustomization(folder.name)
        components = [Path(path).name for path in own.get("components", [])]
        result.append(Rendering(f"k8s/overlays/{folder.name}", folder.name, components, kustomize(kubectl, folder), own["namespace"], outside(components)))
    return result


def combinations(kubectl: str) -> list[Rendering]:
    """Each overlay with every set of optional components, in a namespace each, so that one run of kubectl renders all."""
    work = ROOT / ".build" / "kubernetes"
    entries: dict[str, tuple[str, list[str]]] = {}
    for overlay in sorted(path.name for path in OVERLAYS.iterdir()):
        base = kustomization(overlay)
        fixed = [p for p in base.get("components", []) if Path(p).name not in OPTIONAL + ["external-kafka", "kafka-tls"]]
        for size in range(len(OPTIONAL) + 1):
            for chosen in itertools.combinations(OPTIONAL, size):
                for kafka in KAFKA:
                    key = f"{overlay}-{len(entries)}"
                    folder = work / key
                    folder.mkdir(parents=True, exist_ok=True)

                    def moved(path: str) -> str:
                        return os.path.relpath((OVERLAYS / overlay / path).resolve(), folder)

                    own = dict(base, namespace=key, resources=[moved(p) for p in base["resources"]])
                    servers = "b-1.example.com:9096,b-2.example.com:9096" if kafka else f"kafka.{key}.svc:9092"
                    address = {"name": "suite", "behavior": "merge", "literals": [
                        line for line in base["configMapGenerator"][0]["literals"] if not line.startswith("KAFKA_")] + [f"KAFKA_BOOTSTRAP_SERVERS={servers}"]}
                    own["configMapGenerator"] = [address, *base["configMapGenerator"][1:]]
                    extra = [str(ROOT / "k8s" / "components" / name) for name in [*chosen, *kafka]]
                    own["components"] = [moved(p) for p in fixed] + [os.path.relpath(p, folder) for p in extra]
                    (folder / "kustomization.yaml").write_text(yaml.safe_dump(own))
                    entries[key] = (overlay, [Path(p).name for p in fixed] + [*chosen, *kafka])
    found: dict[str, list[dict]] = {key: [] for key in entries}
    # About 0.15 s of CPU each, so what was rendered from the same files is kept.
    kept = work / f"{fingerprint(kubectl)}.json"
    if kept.exists():
        items = json.loads(kept.read_text())
    else:
        items = rendered(kubectl, work, list(entries))
        for old in work.glob("*.json"):
            old.unlink()
        kept.write_text(json.dumps(items))
    for item in items:
        namespace = item["metadata"]["name"] if item["kind"] == "Namespace" else item["metadata"]["namespace"]
        found[namespace].append(item)
    return [
        Rendering(f"{overlay} with {', '.join(components) or 'nothing'}", overlay, components, found[key], key, outside(components))
        for key, (overlay, components) in entries.items()
    ]


def rendered(kubectl: str, work: Path, keys: list[str]) -> list[dict]:
    """The objects of all these kustomizations. Several in one run save starts of kubectl; too many, and its search for equal names takes longer."""
    groups = []
    for start in range(0, len(keys), GROUP):
        group = work / f"group-{start}"
        group.mkdir(parents=True, exist_ok=True)
        (group / "kustomization.yaml").write_text(yaml.safe_dump({"resources": [f"../{key}" for key in keys[start : start + GROUP]]}))
        groups.append(group)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(itertools.chain.from_iterable(pool.map(lambda group: kustomize(kubectl, group), groups)))


def fingerprint(kubectl: str) -> str:
    """Changes with every file that a rendering reads, with how the combinations are made, and with kubectl."""
    total = hashlib.sha256(Path(kubectl).stat().st_mtime_ns.to_bytes(8, "big"))
    files = [*(ROOT / "k8s").rglob("*"), *(ROOT / "compose").rglob("kustomization.yaml"), *(ROOT / "compose").rglob("*.json")]
    files += [*USE_CASES.glob("*/*.yaml"), Path(__file__)]
    for path in sorted(path for path in files if path.is_file()):
        total.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:16]


def chart(values: dict, title: str, use_case_name: str = "battlefield", namespace: str | None = None) -> Rendering:
    from helm_python.chart import Chart

    with quiet():
        loaded = Chart.load(str(ROOT / "helm" / "vyuha"))
        namespace = namespace or f"vyuha-{use_case_name}"
        files = loaded.render(values, name="check", namespace=namespace, revision=1, is_install=True)
    objects = [o for path, text in sorted(files.items()) if path.endswith(".yaml") for o in load_all(text)]
    made = {"alert-receivers"}
    if values.get("kafka", {}).get("tls", {}).get("enabled"):
        made.add(values["kafka"]["tls"].get("secret", "kafka-client"))
    if values.get("redis", {}).get("secret"):
        made.add(values["redis"]["secret"])
    return Rendering(f"helm with {title}", use_case_name, [], objects, namespace, made)


class quiet:
    """Helm's library writes to file descriptor 2 on its own that it follows the chart's links."""

    def __enter__(self):
        self.saved = os.dup(2)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        os.close(null)

    def __exit__(self, *_):
        os.dup2(self.saved, 2)
        os.close(self.saved)
