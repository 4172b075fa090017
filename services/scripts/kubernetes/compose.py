"""compose/ and the manifests run the same suite: images, ports, commands and settings of every service."""
import re
from collections.abc import Iterator

import yaml

from lib.environment import ROOT

from . import broker
from .render import LOADER, Rendering
from .rules import MAIN, containers, name_of

COMPOSE = ROOT / "compose"
# What each side sets in its own way, or only one has a reason to.
OWN = {
    "KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "VYUHA_INSTANCE_ID", "VYUHA_HOST", "VYUHA_PORT", "VYUHA_LOG_FORMAT", "VYUHA_LOG_LEVEL", "VYUHA_RATE",
    "VYUHA_USE_CASE", "VYUHA_LIMIT", "VYUHA_ENTITIES",
}


def defaults(text: str) -> str:
    """A value of a compose file with the defaults of its variables: ${NAME:-value} becomes value."""
    return re.sub(r"\$\{\w+(?::-([^}]*)|:\?[^}]*)?\}", lambda m: m.group(1) or "", str(text))


def kind(environment: object) -> dict[str, str]:
    if isinstance(environment, list):
        environment = dict(entry.split("=", 1) for entry in environment)
    return {key: defaults(value if value is not None else "") for key, value in (environment or {}).items()}


def image(text: str) -> str:
    """Without a registry before it."""
    return "/".join(defaults(text).split("/")[-2:])


def services(use_case: str) -> dict[str, dict]:
    """The services of compose/<use case>.yaml and the files that it includes, later files over earlier ones."""
    top = yaml.load((COMPOSE / f"{use_case}.yaml").read_text(), Loader=LOADER)
    paths = [path for entry in top.get("include", []) for path in ([entry] if isinstance(entry, str) else entry["path"])]
    result: dict[str, dict] = {}
    for path in paths:
        for name, service in (yaml.load((COMPOSE / path).read_text(), Loader=LOADER).get("services") or {}).items():
            result[name] = {**result.get(name, {}), **service}
    return result


def settings(use_case: str) -> dict[str, str]:
    path = COMPOSE / f"{use_case}.env"
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))


def brokers() -> Iterator[str]:
    """The memory of every broker in a compose file that gives it a limit."""
    for path in sorted(COMPOSE.glob("*.yaml")):
        for name, service in (yaml.load(path.read_text(), Loader=LOADER).get("services") or {}).items():
            if "KAFKA_HEAP_OPTS" in kind(service.get("environment")):
                limit = re.fullmatch(r"(\d+)([kmg])", str(service.get("mem_limit", "0k")))
                total = int(limit.group(1)) * {"k": 2**10, "m": 2**20, "g": 2**30}[limit.group(2)]
                yield from (f"{path.name}: {name}: {fault}" for fault in broker.faults(kind(service["environment"]), total))


def faults(overlays: list[Rendering]) -> Iterator[str]:
    for overlay in overlays:
        name = overlay.use_case
        if not (COMPOSE / f"{name}.yaml").exists():
            continue  # not there yet; the checks of compose/ say so
        theirs, chosen = services(name), settings(name)
        suite = next(o["data"] for o in overlay.of("ConfigMap") if o["metadata"]["name"].startswith("suite"))
        if chosen.get("USE_CASE") != suite["VYUHA_USE_CASE"].rsplit("/", 1)[-1]:
            yield f"{name}: compose runs the use case {chosen.get('USE_CASE')}, Kubernetes {suite['VYUHA_USE_CASE']}."
        if chosen.get("VYUHA_RATE") != suite.get("VYUHA_RATE"):
            yield f"{name}: compose sends {chosen.get('VYUHA_RATE')} events a second, Kubernetes {suite.get('VYUHA_RATE')}."
        for owner, template in overlay.pods():
            pod = name_of(template)
            if pod == "producer":
                entities = next((e["value"] for e in template["spec"]["containers"][0]["env"] if e["name"] == "VYUHA_ENTITIES"), None)
                if chosen.get("VYUHA_ENTITIES") != entities:
                    yield f"{name}: compose simulates {chosen.get('VYUHA_ENTITIES')} entities, Kubernetes {entities}; none means those of the use case."
            if pod == "retrain":
                continue
            if pod not in theirs:
                yield f"{name}: {pod} is not in compose."
                continue
            for role, container in containers(template):
                service = theirs.get("training-data" if role == "init" else pod)
                if service is None:
                    yield f"{name}: {pod}/{container['name']} is not in compose."
                    continue
                yield from (f"{name}: {pod}/{container['name']}: {fault}" for fault in pair(pod, container, service, theirs))


def pair(pod: str, container: dict, service: dict, theirs: dict[str, dict]) -> Iterator[str]:
    if image(container["image"]) != image(service["image"]):
        yield f"the image is {container['image']} in Kubernetes and {defaults(service['image'])} in compose."
    ours = {entry["name"] for entry in container.get("env", [])} - OWN
    others = set(kind(service.get("environment"))) - OWN
    if pod in MAIN and ours != others:
        yield f"the settings {', '.join(sorted(ours ^ others))} are on one side only."
    if pod in MAIN:
        published = {defaults(port).rsplit(":", 1)[-1] for port in service.get("ports", [])}
        declared = {str(port["containerPort"]) for port in container.get("ports", [])}
        if published and published != declared:
            yield f"port {', '.join(sorted(published))} is published by compose, {', '.join(sorted(declared))} declared here."
    if pod in ("topics", "train"):
        if [words(part) for part in service.get("command", [])] != [words(part) for part in container.get("args", [])]:
            yield f"the command is {container.get('args')} in Kubernetes and {service.get('command')} in compose."


def words(part: str) -> str:
    """Paths differ (a volume there, the pod's own /tmp here); their last part does not."""
    return part.rsplit("/", 1)[-1]
