"""The chart: linted, rendered for several values, refused for wrong ones, and equal to the Kustomize renderings."""
import json
import re
from collections.abc import Iterator

from . import rules, schema
from .render import ROOT, Rendering, chart, quiet

EXTERNAL_KAFKA = {"inCluster": False, "bootstrapServers": "b-1.example.com:9096,b-2.example.com:9096"}
OWN = "name: my-own\npartitions: 4\nevent: {}\nsource: {simulator: {name: battlefield}, rate: 12.5}\ntraining: {simulator: {seed: 1}}\n"

# Title, use case, values.
GOOD = [
    ("defaults", "battlefield", {}),
    ("nyc-taxi", "nyc-taxi", {"useCase": {"name": "nyc-taxi"}}),
    ("KEDA and observability", "battlefield", {
        "autoscaling": {"kind": "keda"}, "observability": {"serviceMonitor": True, "prometheusRule": True, "dashboards": True, "labels": {"release": "prometheus"}}}),
    ("HorizontalPodAutoscaler", "nyc-taxi", {"useCase": {"name": "nyc-taxi"}, "autoscaling": {"kind": "hpa", "maxReplicas": 32}}),
    ("external Kafka with TLS, external Redis, a registry, another rate", "battlefield", {
        "kafka": {**EXTERNAL_KAFKA, "tls": {"enabled": True}}, "redis": {"inCluster": False, "secret": "managed-redis"}, "alerts": {"webhookEgress": True},
        "images": {"registry": "registry.example.com/team", "tag": "0.1.0", "pullSecrets": ["pull"]}, "producer": {"rate": 5}, "autoscaling": {"kind": "keda"},
        "tasks": {"topics": {"replication": 3}}}),
    ("no producer, no training, no policies", "battlefield", {
        "producer": {"enabled": False}, "training": {"atInstall": False, "schedule": ""}, "networkPolicy": {"enabled": False},
        "env": {"VYUHA_BATCH_SIZE": "500"}}),
    ("iot-sensors", "iot-sensors", {"useCase": {"name": "iot-sensors"}}),
    ("a larger Kafka", "battlefield", {
        "kafka": {"memory": {"heap": 1024, "dedupeBuffer": 128}, "resources": {"requests": {"cpu": "1", "memory": "1600Mi"}, "limits": {"cpu": "2", "memory": "1600Mi"}}}}),
]

# Title, values, what the message must name.
BAD = [
    ("a misspelt key", {"usecase": {"name": "nyc-taxi"}}, "usecase"),
    ("a misspelt service", {"services": {"scorer": {"replicas": 1}}}, "scorer"),
    ("replicas as text", {"services": {"alert-sink": {"replicas": "two"}}}, "replicas"),
    ("two producers", {"services": {"producer": {"replicas": 2}}}, "replicas"),
    ("more pods than partitions", {"services": {"alert-sink": {"replicas": 33}}}, "32 partitions"),
    ("more autoscaled pods than partitions", {"autoscaling": {"kind": "keda", "maxReplicas": 33}}, "32 partitions"),
    ("a limit that Kafka's heap does not fit", {"kafka": {"resources": {"limits": {"cpu": "2", "memory": "512Mi"}}}}, "kafka.resources.limits.memory"),
    ("a heap that Kafka's limit does not fit", {"kafka": {"memory": {"heap": 320}}}, "kafka.memory.heap"),
    ("a log cleaner's buffer of half the old generation", {"kafka": {"memory": {"dedupeBuffer": 64}}}, "kafka.memory.dedupeBuffer"),
    ("an unknown autoscaler", {"autoscaling": {"kind": "magic"}}, "kind"),
    ("a use case that does not exist", {"useCase": {"name": "no-such"}}, "no-such"),
    ("a name that is not the definition's", {"useCase": {"name": "mine", "definition": OWN}}, "my-own"),
    ("an external Kafka without its address", {"kafka": {"inCluster": False}}, "bootstrapServers"),
    ("an address without port", {"kafka": {"inCluster": False, "bootstrapServers": "broker"}}, "bootstrapServers"),
    ("an external Redis without its Secret", {"redis": {"inCluster": False}}, "redis.secret"),
    ("TLS to the Kafka in the namespace", {"kafka": {"tls": {"enabled": True}}}, "tls"),
    ("the tag latest", {"images": {"tag": "latest"}}, "tag"),
    ("memory that is not an amount", {"services": {"producer": {"resources": {"limits": {"memory": "much"}}}}}, "memory"),
    ("a setting that is not one", {"env": {"PATH": "/"}}, "PATH"),
    ("a schedule of four fields", {"training": {"schedule": "1 2 3 4"}}, "schedule"),
]


def good() -> Iterator[str]:
    from helm_python.chart import lint

    for title, use_case, values in GOOD:
        with quiet():
            report = lint(str(ROOT / "helm" / "vyuha"), values, strict=True)
        for message in report["messages"]:
            if message["severity"] >= 2:
                yield f"{title}: lint: {message['error']}"
        rendering = chart(values, title, use_case)
        yield from (f"{title}: {fault}" for fault in [*schema.faults(rendering), *rules.faults(rendering)])
    own = chart({"useCase": {"name": "my-own", "definition": OWN}}, "a use case of one's own", "battlefield", "vyuha-own")
    settings = next(o["data"] for o in own.of("ConfigMap") if o["metadata"]["name"].startswith("suite"))
    if settings.get("VYUHA_USE_CASE") != "/usr/share/vyuha/usecases/my-own" or settings.get("VYUHA_RATE") != "12.5":
        yield f"a use case of one's own: its settings are {settings}."
    if next(o["data"] for o in own.of("ConfigMap") if o["metadata"]["name"].startswith("usecase"))["usecase.yaml"] != OWN:
        yield "a use case of one's own: its definition is not carried as it is."


def bad() -> Iterator[str]:
    from helm_python.errors import HelmError

    for title, values, word in BAD:
        try:
            chart(values, title)
            yield f"{title}: is accepted."
        except HelmError as error:
            if word not in str(error):
                yield f"{title}: is refused, but the message does not name {word}: {error}"


def agreement(overlays: list[Rendering]) -> Iterator[str]:
    """The chart with an overlay's use case renders what the overlay renders, object by object."""
    for overlay in overlays:
        values = {"useCase": {"name": overlay.use_case}, "networkPolicy": {"enabled": "network-policy" in overlay.components}}
        yield from compare(overlay, chart(values, "the values of the overlay", overlay.use_case))


def component_agreement(combinations: list[Rendering]) -> Iterator[str]:
    for combination in combinations:
        parts = set(combination.components)
        if "network-policy" not in parts:
            continue  # components bring their policies along, the chart has one switch for all
        values = {
            "useCase": {"name": combination.use_case},
            "autoscaling": {"kind": "keda" if "autoscaling" in parts else "none"},
            "observability": {key: "observability" in parts for key in ("serviceMonitor", "prometheusRule", "dashboards")},
            "alerts": {"webhookEgress": "webhook" in parts},
        }
        if "external-kafka" in parts:
            servers = next(o["data"] for o in combination.of("ConfigMap") if o["metadata"]["name"].startswith("suite"))["KAFKA_BOOTSTRAP_SERVERS"]
            values["kafka"] = {"inCluster": False, "bootstrapServers": servers, "tls": {"enabled": "kafka-tls" in parts}}
        yield from compare(combination, chart(values, "the same", combination.use_case, combination.namespace))


def compare(kustomize: Rendering, helm: Rendering) -> Iterator[str]:
    ours, theirs = normal(kustomize), normal(helm)
    for key in sorted(set(ours) | set(theirs)):
        title = f"{kustomize.title}: {key[0]} {key[1]}"
        if key not in theirs:
            yield f"{title}: is in Kustomize only."
        elif key not in ours:
            yield f"{title}: is in Helm only."
        else:
            yield from (f"{title}: {fault}" for fault in difference("", ours[key], theirs[key]))


def normal(rendering: Rendering) -> dict[tuple[str, str], object]:
    """Objects by kind and name, without what the two tools add: namespaces, their own labels, content hashes and revisions in names."""
    generated = {o["metadata"]["name"] for o in rendering.of("ConfigMap", "Secret")}

    def stem(name: str) -> str:
        return re.sub(r"-[0-9a-z]{10}$", "", name) if name in generated and not name.startswith("dashboard-") else name

    def walk(value: object, key: str = "") -> object:
        if isinstance(value, dict):
            return {k: walk(v, k) for k, v in value.items() if v not in ({}, [], None)}
        if isinstance(value, list):
            done = [walk(v) for v in value]
            named = all(isinstance(v, dict) and ("name" in v or "mountPath" in v) for v in done)
            return sorted(done, key=lambda v: json.dumps(v, sort_keys=True)) if named else done
        return stem(value) if key in ("name", "secretName") and isinstance(value, str) else value

    result = {}
    for item in rendering.objects:
        if item["kind"] == "Namespace" or item["metadata"].get("annotations", {}).get("helm.sh/hook"):
            continue
        name = stem(item["metadata"]["name"])
        if item["kind"] == "Job":
            name = re.sub(r"-\d+$", "", name)
        # Labels of the objects themselves are each tool's own; those of pods and those that a selector uses are compared.
        labels = {k: v for k, v in item["metadata"].get("labels", {}).items() if k in ("app.kubernetes.io/name", "app.kubernetes.io/component")}
        body = {k: v for k, v in item.items() if k not in ("metadata", "stringData", "data", "type")}
        if item["kind"] == "Secret":
            # The values differ on purpose: one is a stand-in, one is random.
            body["keys"] = sorted({*item.get("data", {}), *item.get("stringData", {})})
        else:
            body["data"] = {k: str(v).strip() + "\n" for k, v in item.get("data", {}).items()}
        body = json.loads(json.dumps(body))
        template = body.get("spec", {}).get("template", {}) if item["kind"] == "StatefulSet" else {}
        # Only Helm needs it: Kustomize gives a changed redis.conf another name.
        template.get("metadata", {}).get("annotations", {}).pop("vyuha/config", None)
        result[(item["kind"], name)] = walk({"labels": labels, **body})
    return result


def difference(path: str, ours: object, theirs: object) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(set(ours) | set(theirs)):
            yield from difference(f"{path}.{key}", ours.get(key), theirs.get(key))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (a, b) in enumerate(zip(ours, theirs)):
            yield from difference(f"{path}[{index}]", a, b)
    elif ours != theirs:
        yield f"{path or '.'} is {short(ours)} in Kustomize and {short(theirs)} in Helm."


def short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) < 160 else text[:157] + "..."
