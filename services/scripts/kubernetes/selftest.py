"""The rules find what they are there for: each damage to a good rendering must be named."""
import copy
from collections.abc import Callable, Iterator

from . import rules, schema, sizes
from .render import Rendering


def main_container(r: Rendering, name: str) -> dict:
    return r.find("StatefulSet", name)["spec"]["template"]["spec"]["containers"][0]


def policy(r: Rendering, name: str) -> dict:
    return r.find("NetworkPolicy", name)["spec"]


def kafka(r: Rendering, name: str, old: str, new: str) -> None:
    """Changes a part of one of the broker's settings; without `old` the setting goes."""
    variables = main_container(r, "kafka")["env"]
    found = next(v for v in variables if v["name"] == name)
    assert old in found["value"], found
    if old:
        found["value"] = found["value"].replace(old, new)
    else:
        variables.remove(found)


def drop(r: Rendering, kind: str, name: str) -> None:
    r.objects.remove(r.find(kind, name))


DAMAGES: list[tuple[str, Callable[[Rendering], object], str]] = [
    ("a limit is gone", lambda r: main_container(r, "producer")["resources"]["limits"].pop("memory"), "limits.memory"),
    ("Kafka's own size of the log cleaner's buffer", lambda r: kafka(r, "KAFKA_LOG_CLEANER_DEDUPE_BUFFER_SIZE", "", ""), "DEDUPE_BUFFER_SIZE is 128 MiB by default"),
    ("a log cleaner's buffer of half the old generation", lambda r: kafka(r, "KAFKA_LOG_CLEANER_DEDUPE_BUFFER_SIZE", "16777216", "83886080"), "DEDUPE_BUFFER_SIZE"),
    ("a heap that is too large", lambda r: kafka(r, "KAFKA_HEAP_OPTS", "-Xmx224m", "-Xmx320m"), "nine tenths of its limit"),
    ("a heap that is too small", lambda r: kafka(r, "KAFKA_HEAP_OPTS", "-Xmx224m", "-Xmx64m"), "DEDUPE_BUFFER_SIZE"),
    ("direct buffers without a bound", lambda r: kafka(r, "KAFKA_HEAP_OPTS", "-XX:MaxDirectMemorySize=48m", ""), "MaxDirectMemorySize"),
    ("no collector", lambda r: kafka(r, "KAFKA_JVM_PERFORMANCE_OPTS", "", ""), "collector"),
    ("two collectors", lambda r: kafka(r, "KAFKA_HEAP_OPTS", "-Xmx224m", "-Xmx224m -XX:+UseG1GC"), "collector"),
    ("Kafka's former limit", lambda r: main_container(r, "kafka")["resources"]["limits"].update(memory="512Mi"), "nine tenths of its limit"),
    ("a limit that the node has no room for", lambda r: main_container(r, "alert-sink")["resources"]["limits"].update(memory="256Mi"), "more than 2.8 GB"),
    ("a writable root", lambda r: main_container(r, "redis")["securityContext"].update(readOnlyRootFilesystem=False), "writable"),
    ("a capability", lambda r: main_container(r, "kafka")["securityContext"]["capabilities"].update(add=["NET_RAW"]), "capabilities"),
    ("a pod as root", lambda r: r.find("StatefulSet", "alert-sink")["spec"]["template"]["spec"].pop("securityContext"), "root"),
    ("a token", lambda r: r.find("Job", "train")["spec"]["template"]["spec"].pop("automountServiceAccountToken"), "token"),
    ("no readiness", lambda r: main_container(r, "scoring-service").pop("readinessProbe"), "readinessProbe"),
    ("a probe of another port", lambda r: main_container(r, "scoring-service")["livenessProbe"]["httpGet"].update(port="metrics"), "metrics"),
    ("no preStop", lambda r: main_container(r, "scoring-service").pop("lifecycle"), "preStop"),
    ("another port", lambda r: main_container(r, "alert-sink")["ports"][0].update(containerPort=9999), "9999"),
    ("an image that is not ours", lambda r: main_container(r, "producer").update(image="nginx:1.27"), "nginx"),
    ("the image latest", lambda r: main_container(r, "producer").update(image="vyuha/producer:latest"), "version"),
    ("a label that no Service selects", lambda r: r.find("Service", "redis")["spec"].update(selector={"app": "x"}), "selects no pod"),
    ("a Service port that is not there", lambda r: r.find("Service", "redis")["spec"]["ports"][0].update(targetPort="tls"), "tls"),
    ("a selector that misses", lambda r: r.find("StatefulSet", "producer")["spec"]["selector"].update(matchLabels={"a": "b"}), "selector"),
    ("a ConfigMap that nobody makes", lambda r: main_container(r, "producer")["envFrom"][0]["configMapRef"].update(name="other"), "other"),
    ("a Secret's key that is not there", lambda r: main_container(r, "producer")["env"].append(
        {"name": "X", "valueFrom": {"secretKeyRef": {"name": next(o for o in r.of("Secret"))["metadata"]["name"], "key": "gone"}}}), "gone"),
    ("a volume that is not there", lambda r: main_container(r, "producer")["volumeMounts"].append({"name": "x", "mountPath": "/x"}), "volume x"),
    ("a password in plain sight", lambda r: main_container(r, "producer")["env"].append({"name": "SASL_PASSWORD", "value": "x"}), "SASL_PASSWORD"),
    ("an unknown field", lambda r: r.find("StatefulSet", "producer")["spec"].update(replica=1), "replica"),
    ("a missing policy", lambda r: drop(r, "NetworkPolicy", "redis-clients"), "cannot reach redis"),
    ("a policy that opens too much", lambda r: policy(r, "kafka-clients").update(podSelector={}) or policy(r, "kafka").update(ingress=[{}]), "does not need"),
    ("services that reach each other", lambda r: policy(r, "deny-all").update(podSelector={"matchLabels": {"no": "pod"}}) or policy(
        r, "names").update(egress=[{}]) or policy(r, "predict").update(ingress=[{}]), "only over Kafka"),
    ("another rate", lambda r: next(o for o in r.of("ConfigMap") if "VYUHA_RATE" in o["data"])["data"].update(VYUHA_RATE="7"), "VYUHA_RATE"),
    ("another definition", lambda r: next(o for o in r.of("ConfigMap") if "usecase.yaml" in o["data"])["data"].update({"usecase.yaml": "name: x"}), "usecase.yaml"),
]


def faults(good: Rendering) -> Iterator[str]:
    for title, damage, word in DAMAGES:
        damaged = copy.deepcopy(good)
        damage(damaged)
        found = [*schema.faults(damaged), *rules.faults(damaged), *sizes.faults(damaged)]
        if not any(word in fault for fault in found):
            yield f"{title}: nothing names {word}; found: {found[:2]}"
