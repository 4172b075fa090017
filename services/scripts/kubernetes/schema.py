"""Kubernetes' own schemas, strictly (no unknown field), for two versions; and the shape of the custom resources, which have none here."""
import functools
import hashlib
import json
import warnings
from collections.abc import Iterator

from .render import Rendering

# The oldest that the chart allows (preStop sleep), and a recent one.
VERSIONS = ("1.30", "1.36")

# What the operators' documentation lists of the fields that are used here.
CUSTOM = {
    "ScaledObject": {
        "spec": {"scaleTargetRef", "pollingInterval", "cooldownPeriod", "minReplicaCount", "maxReplicaCount", "advanced", "triggers"},
        "spec.scaleTargetRef": {"apiVersion", "kind", "name", "envSourceContainerName"},
    },
    "ServiceMonitor": {"spec": {"selector", "endpoints", "namespaceSelector", "jobLabel"}},
    "PrometheusRule": {"spec": {"groups"}},
}

_seen: dict[str, list[str]] = {}


@functools.cache
def library():
    """kubernetes-validate, told to read each of its files once: it would read megabytes for every object."""
    import kubernetes_validate
    from kubernetes_validate import utils

    utils.schema_contents = functools.cache(utils.schema_contents)
    utils.all_versions = functools.cache(utils.all_versions)
    return kubernetes_validate


def faults(rendering: Rendering) -> Iterator[str]:
    kubernetes_validate = library()
    identities: set[tuple] = set()
    for item in rendering.objects:
        identity = (item["apiVersion"], item["kind"], item["metadata"]["name"])
        title = f"{item['kind']} {item['metadata']['name']}"
        if identity in identities:
            yield f"{title}: is there twice."
        identities.add(identity)
        if item["kind"] in CUSTOM:
            yield from (f"{title}: {fault}" for fault in custom(item))
            continue
        # The same object comes in many renderings; only its namespace differs.
        plain = json.dumps(item, sort_keys=True).replace(rendering.namespace, "")
        key = hashlib.sha256(plain.encode()).hexdigest()
        if key not in _seen:
            _seen[key] = []
            for version in VERSIONS:
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        kubernetes_validate.validate(item, version, strict=True)
                except kubernetes_validate.ValidationError as error:
                    path = ".".join(str(part) for part in error.path)
                    _seen[key].append(f"in Kubernetes {version}, {path}: {error.message}")
        yield from (f"{title}: {fault}" for fault in _seen[key])


def custom(item: dict) -> Iterator[str]:
    for path, known in CUSTOM[item["kind"]].items():
        value = item
        for part in path.split("."):
            value = value.get(part, {})
        for field in set(value) - known:
            yield f"{path}.{field} is not a field that it knows."
