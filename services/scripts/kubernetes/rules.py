"""Rules for one rendering. Each rule yields one sentence per fault; the titles are what `make test` prints."""
import re
from collections.abc import Iterator
from functools import cache

from lib.environment import ROOT
import catalog

from . import broker
from .render import Rendering, USE_CASES, bytes_of, use_case

MAIN = {service.name for service in catalog.services()}
CONSUMERS = {service.name: service.reads[0] for service in catalog.services() if service.reads}
PORTS = {service.name: service.port for service in catalog.services()}
# Images that are not built here.
SERVERS = {"apache/kafka", "redis"}
# Events a second that two CPUs carry: Kafka alone took 1.1 of them at 10,000/s.
RATE_OF_A_NODE = 2000
# Who opens a connection to what: everything else must be denied.
NEEDS_KAFKA = MAIN | {"topics", "kafka", "test-status"}
NEEDS_REDIS = MAIN | {"train", "retrain", "test-status"}


@cache
def docker_targets() -> set[str] | None:
    """Stages of the Dockerfile; None where it does not exist yet."""
    path = ROOT / "services" / "Dockerfile"
    return set(re.findall(r"^FROM \S+ AS (\S+)", path.read_text(), re.M)) if path.exists() else None


def name_of(template: dict) -> str:
    return template["metadata"].get("labels", {}).get("app.kubernetes.io/name", "")


def containers(template: dict) -> list[tuple[str, dict]]:
    spec = template["spec"]
    return [("init", c) for c in spec.get("initContainers", [])] + [("main", c) for c in spec["containers"]]


def matches(selector: dict | None, labels: dict) -> bool:
    """Kubernetes' meaning of a label selector: an empty one selects everything, none selects nothing."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    return not selector.get("matchExpressions")


# --- rules -----------------------------------------------------------------------------------------------------------------------------------


def hardening(r: Rendering) -> Iterator[str]:
    for owner, template in r.pods():
        name, spec = name_of(template), template["spec"]
        pod = spec.get("securityContext", {})
        if pod.get("runAsNonRoot") is not True or not pod.get("runAsUser"):
            yield f"{name}: the pod may run as root."
        if pod.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{name}: no seccomp profile."
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{name}: a service account token is mounted."
        if spec.get("enableServiceLinks") is not False:
            yield f"{name}: enableServiceLinks would add variables that Kafka's image and the suite read as settings."
        for volume in spec.get("volumes", []):
            if not set(volume) & {"emptyDir", "configMap", "secret", "persistentVolumeClaim"}:
                yield f"{name}: the volume {volume['name']} is of a kind that the namespace refuses."
            if "emptyDir" in volume and not (volume["emptyDir"] or {}).get("sizeLimit"):
                yield f"{name}: the volume {volume['name']} has no size limit."
        for _, container in containers(template):
            own = container.get("securityContext", {})
            if own.get("allowPrivilegeEscalation") is not False or own.get("privileged") is not False:
                yield f"{name}/{container['name']}: may gain privileges."
            if own.get("readOnlyRootFilesystem") is not True:
                yield f"{name}/{container['name']}: the root file system is writable."
            if own.get("capabilities", {}).get("drop") != ["ALL"] or own.get("capabilities", {}).get("add"):
                yield f"{name}/{container['name']}: capabilities are left."


def resources(r: Rendering) -> Iterator[str]:
    for _, template in r.pods():
        for _, container in containers(template):
            title = f"{name_of(template)}/{container['name']}"
            own = container.get("resources", {})
            for part in ("requests", "limits"):
                for kind in ("cpu", "memory"):
                    if not own.get(part, {}).get(kind):
                        yield f"{title}: no {part}.{kind}."
            if not own.get("requests") or not own.get("limits"):
                continue
            for kind in ("cpu", "memory"):
                if bytes_of(own["requests"].get(kind, "0")) > bytes_of(own["limits"].get(kind, "0")):
                    yield f"{title}: requests more {kind} than its limit."


def probes(r: Rendering) -> Iterator[str]:
    for owner, template in r.pods():
        if owner["kind"] != "StatefulSet":
            continue
        container = template["spec"]["containers"][0]
        name = name_of(template)
        named = {port["name"] for port in container.get("ports", [])}
        for probe in ("livenessProbe", "readinessProbe"):
            if probe not in container:
                yield f"{name}: no {probe}."
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            how = container.get(probe, {})
            port = (how.get("httpGet") or how.get("tcpSocket") or {}).get("port")
            if port is not None and port not in named:
                yield f"{name}: its {probe} asks the port {port}, which it does not have."
        if name not in MAIN:
            continue
        if container.get("readinessProbe", {}).get("httpGet", {}).get("path") != "/ready":
            yield f"{name}: readiness is not /ready."
        for probe in ("livenessProbe", "startupProbe"):
            if container.get(probe, {}).get("httpGet", {}).get("path") != "/health":
                yield f"{name}: its {probe} is not /health."
        if template["spec"].get("terminationGracePeriodSeconds", 0) < 20:
            yield f"{name}: less grace than the 10 s that a stop may take, after its preStop."
    scoring = r.find("StatefulSet", "scoring-service")
    if scoring and "preStop" not in scoring["spec"]["template"]["spec"]["containers"][0].get("lifecycle", {}):
        yield "scoring-service: stops answering before the endpoint is gone; it needs a preStop."


def images_and_ports(r: Rendering) -> Iterator[str]:
    for owner, template in r.pods():
        for _, container in containers(template):
            image, _, tag = container["image"].rpartition(":")
            short = "/".join(image.split("/")[-2:]) if "vyuha/" in image else image
            title = f"{name_of(template)}/{container['name']}"
            if not image or tag in ("", "latest"):
                yield f"{title}: the image {container['image']} has no version."
            elif short.startswith("vyuha/"):
                if tag != catalog.version() and "registry" not in r.title:
                    yield f"{title}: image version {tag}, but the suite is {catalog.version()}."
                if docker_targets() is not None and short[6:] not in docker_targets():
                    yield f"{title}: services/Dockerfile has no target {short[6:]}."
            elif not any(image.endswith(server) for server in SERVERS):
                yield f"{title}: the image {image} is not one of ours."
        name = name_of(template)
        if name in MAIN and owner["kind"] == "StatefulSet":
            container = template["spec"]["containers"][0]
            given = {e["name"]: e.get("value") for e in container.get("env", [])}.get("VYUHA_PORT")
            declared = [port["containerPort"] for port in container["ports"]]
            if declared != [PORTS[name]] or given != str(PORTS[name]):
                yield f"{name}: listens on {given}, declares {declared}, and services/catalog.yaml says {PORTS[name]}."


def references(r: Rendering) -> Iterator[str]:
    maps = {o["metadata"]["name"]: set(o.get("data", {})) | set(o.get("binaryData", {})) for o in r.of("ConfigMap")}
    secrets = {o["metadata"]["name"]: set(o.get("data", {})) | set(o.get("stringData", {})) for o in r.of("Secret")}
    accounts = {o["metadata"]["name"] for o in r.of("ServiceAccount")}

    def missing(kind: str, known: dict, reference: dict, key: str | None) -> Iterator[str]:
        name = reference.get("name") or reference.get("secretName")
        if name in r.outside or reference.get("optional"):
            return
        if name not in known:
            yield f"refers to the {kind} {name}, which nobody makes."
        elif key is not None and key not in known[name]:
            yield f"refers to the key {key}, which the {kind} {name} does not have."

    for _, template in r.pods():
        spec = template["spec"]
        faults: list[str] = []
        if spec.get("serviceAccountName") not in accounts:
            faults.append(f"refers to the service account {spec.get('serviceAccountName')}, which nobody makes.")
        claims = {c["metadata"]["name"] for o in r.of("StatefulSet") if o["spec"]["template"] is template for c in o["spec"].get("volumeClaimTemplates", [])}
        volumes = {v["name"]: v for v in spec.get("volumes", [])}
        for volume in volumes.values():
            if "configMap" in volume:
                faults += missing("ConfigMap", maps, volume["configMap"], None)
            if "secret" in volume:
                faults += missing("Secret", secrets, volume["secret"], None)
        for _, container in containers(template):
            for source in container.get("envFrom", []):
                faults += missing("ConfigMap", maps, source.get("configMapRef", {}), None)
            for variable in container.get("env", []):
                origin = variable.get("valueFrom", {})
                if "secretKeyRef" in origin:
                    faults += missing("Secret", secrets, origin["secretKeyRef"], origin["secretKeyRef"]["key"])
                if "configMapKeyRef" in origin:
                    faults += missing("ConfigMap", maps, origin["configMapKeyRef"], origin["configMapKeyRef"]["key"])
            for mount in container.get("volumeMounts", []):
                volume = volumes.get(mount["name"])
                if volume is None and mount["name"] not in claims:
                    faults.append(f"mounts the volume {mount['name']}, which it does not have.")
                if volume and "configMap" in volume and "subPath" in mount and mount["subPath"] not in maps.get(volume["configMap"]["name"], set()):
                    faults.append(f"mounts {mount['subPath']}, which the ConfigMap {volume['configMap']['name']} does not have.")
        for fault in faults:
            yield f"{name_of(template)}: {fault}"
    used = re.compile(r"\$\((\w+)\)")
    for _, template in r.pods():
        for _, container in containers(template):
            known = {e["name"] for e in container.get("env", [])}
            for text in [*container.get("command", []), *container.get("args", []), *[e.get("value", "") for e in container.get("env", [])]]:
                for variable in used.findall(str(text)):
                    if variable not in known:
                        yield f"{name_of(template)}: uses $({variable}), which is not among its variables."


def selectors(r: Rendering) -> Iterator[str]:
    pods = [(name_of(t), t) for _, t in r.pods()]

    def selected(selector: dict | None) -> list[dict]:
        return [t for _, t in pods if matches(selector, t["metadata"].get("labels", {}))]

    for owner in r.of("StatefulSet", "Deployment"):
        labels = owner["spec"]["template"]["metadata"]["labels"]
        if not matches(owner["spec"]["selector"], labels):
            yield f"{owner['metadata']['name']}: its selector does not match its own pods."
        if len(selected(owner["spec"]["selector"])) > 1:
            yield f"{owner['metadata']['name']}: its selector matches the pods of others too."
        if owner["kind"] == "StatefulSet" and not r.find("Service", owner["spec"]["serviceName"]):
            yield f"{owner['metadata']['name']}: its governing Service {owner['spec']['serviceName']} does not exist."
        for spread in owner["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            if not matches(spread.get("labelSelector"), labels):
                yield f"{owner['metadata']['name']}: its topology spread does not count its own pods."
    for service in r.of("Service"):
        name = service["metadata"]["name"]
        behind = selected({"matchLabels": service["spec"]["selector"]})
        if not behind:
            yield f"Service {name}: selects no pod."
        for template in behind:
            known = {p["name"]: p["containerPort"] for _, c in containers(template) for p in c.get("ports", [])}
            for port in service["spec"]["ports"]:
                if known.get(port["targetPort"]) != port["port"]:
                    yield f"Service {name}: port {port['port']} leads to {port['targetPort']}, which the pod has as {known.get(port['targetPort'])}."
    for budget in r.of("PodDisruptionBudget"):
        if len(selected(budget["spec"]["selector"])) != 1:
            yield f"PodDisruptionBudget {budget['metadata']['name']}: selects {len(selected(budget['spec']['selector']))} kinds of pods."
    for policy in r.of("NetworkPolicy"):
        if not selected(policy["spec"]["podSelector"]):
            yield f"NetworkPolicy {policy['metadata']['name']}: selects no pod."
    for monitor in r.of("ServiceMonitor"):
        behind = [s for s in r.of("Service") if matches(monitor["spec"]["selector"], s["metadata"].get("labels", {}))]
        missing = {n for n, _ in pods if n in MAIN} - {s["metadata"]["name"] for s in behind} - {"train"}
        if missing:
            yield f"ServiceMonitor: does not scrape {', '.join(sorted(missing))}."
        for endpoint in monitor["spec"]["endpoints"]:
            for service in behind:
                if endpoint["port"] not in [p["name"] for p in service["spec"]["ports"]]:
                    yield f"ServiceMonitor: the Service {service['metadata']['name']} has no port {endpoint['port']}."


def network(r: Rendering) -> Iterator[str]:
    """Who can reach whom by the policies, against who needs to: both too little and too much are faults."""
    if not r.find("NetworkPolicy", "deny-all"):
        return  # the openings of other components have no meaning without it
    policies = [p["spec"] for p in r.of("NetworkPolicy")]
    templates = {name_of(t): t for _, t in r.pods()}

    def allows(rule: dict, side: str, labels: dict | None, port: int | str, names: dict) -> bool:
        peers = rule.get(side)
        open_port = not rule.get("ports") or any(p.get("port") in (port, names.get(port)) for p in rule["ports"])
        inside = peers is None or any("namespaceSelector" not in p and matches(p.get("podSelector"), labels or {}) for p in peers)
        return open_port and inside

    def reachable(client: dict, server: dict, port: int) -> bool:
        mine, theirs = client["metadata"]["labels"], server["metadata"]["labels"]
        names = {p["containerPort"]: p["name"] for _, c in containers(server) for p in c.get("ports", [])}
        out = [p for p in policies if "Egress" in p["policyTypes"] and matches(p["podSelector"], mine)]
        into = [p for p in policies if "Ingress" in p["policyTypes"] and matches(p["podSelector"], theirs)]
        leaves = not out or any(allows(rule, "to", theirs, port, names) for p in out for rule in p.get("egress", []))
        enters = not into or any(allows(rule, "from", mine, port, names) for p in into for rule in p.get("ingress", []))
        return leaves and enters

    for server, port, needs in (("kafka", 9092, NEEDS_KAFKA), ("redis", 6379, NEEDS_REDIS)):
        if server not in templates:
            continue
        for client, template in templates.items():
            if reachable(template, templates[server], port) != (client in needs):
                yield f"{client} {'cannot reach' if client in needs else 'can reach, but does not need,'} {server}."
    for client, template in templates.items():
        for server in MAIN & set(templates):
            if reachable(template, templates[server], PORTS[server]):
                yield f"{client} can reach {server}, though services talk only over Kafka and Redis."


def the_use_case(r: Rendering) -> Iterator[str]:
    """The ConfigMap holds the definition's own bytes, and every name made from it agrees."""
    known = use_case(r.use_case)
    name = known["name"]
    settings = next((o["data"] for o in r.of("ConfigMap") if o["metadata"]["name"].startswith("suite")), {})
    home = f"/usr/share/vyuha/usecases/{name}"
    held = [o["data"].get("usecase.yaml") for o in r.of("ConfigMap") if o["metadata"]["name"].startswith("usecase")]
    if held != [(USE_CASES / r.use_case / "usecase.yaml").read_text()]:
        yield "the ConfigMap usecase is not services/usecases/" + r.use_case + "/usecase.yaml."
    if settings.get("VYUHA_USE_CASE") != home:
        yield f"VYUHA_USE_CASE is {settings.get('VYUHA_USE_CASE')}, not {home}."
    if "rate" not in r.title:
        yield from pace(r, known.get("source", {}), settings.get("VYUHA_RATE"))
    if r.find("StatefulSet", "kafka") and settings.get("KAFKA_BOOTSTRAP_SERVERS") != f"kafka.{r.namespace}.svc:9092" and r.title.startswith(("k8s", "helm")):
        yield f"KAFKA_BOOTSTRAP_SERVERS is {settings.get('KAFKA_BOOTSTRAP_SERVERS')}, not Kafka in the namespace {r.namespace}."
    simulated = "simulator" in known.get("training", {})
    for _, template in r.pods():
        for _, container in containers(template):
            for mount in container.get("volumeMounts", []):
                if mount["name"] == "usecase" and mount["mountPath"] != home + "/usecase.yaml":
                    yield f"{name_of(template)}: mounts the definition at {mount['mountPath']}."
        if name_of(template) in ("train", "retrain") and bool(template["spec"].get("initContainers")) != simulated:
            yield f"{name_of(template)}: the use case is {'simulated, so the overlay needs the component simulated-training' if simulated else 'not simulated'}."
    for scaled in r.of("ScaledObject"):
        service = scaled["metadata"]["name"]
        kafka = next(t["metadata"] for t in scaled["spec"]["triggers"] if t["type"] == "kafka")
        expected = (f"{name}.{service}", f"{name}.{CONSUMERS[service]}")
        if (kafka["consumerGroup"], kafka["topic"]) != expected:
            yield f"ScaledObject {service}: watches {kafka['consumerGroup']} on {kafka['topic']}, not {expected[0]} on {expected[1]}."
        if kafka.get("excludePersistentLag") != "true" or kafka.get("allowIdleConsumers") != "false":
            yield f"ScaledObject {service}: persistent lag or idle members are not excluded."
    for scaled in r.of("ScaledObject", "HorizontalPodAutoscaler"):
        most = scaled["spec"].get("maxReplicaCount") or scaled["spec"].get("maxReplicas")
        target = scaled["spec"]["scaleTargetRef"]
        owner = r.find(target["kind"], target["name"])
        if most > known.get("partitions", 32):
            yield f"{scaled['kind']} {scaled['metadata']['name']}: up to {most} pods for {known.get('partitions', 32)} partitions."
        if owner is None or "replicas" in owner["spec"]:
            yield f"{scaled['kind']} {scaled['metadata']['name']}: its target is missing, or sets its own number of pods."


def pace(r: Rendering, source: dict, given: str | None) -> Iterator[str]:
    """The use case's rate, at most that of a node with two CPUs; a simulation is made smaller with it, so that its time passes as the clock does."""
    rate = source.get("rate")
    if rate is None:
        return
    expected = min(rate, RATE_OF_A_NODE)
    if given != str(expected):
        yield f"VYUHA_RATE is {given}, but the use case says {rate}, and a node with two CPUs carries {RATE_OF_A_NODE}."
    producer = r.find("StatefulSet", "producer")
    if producer is None:
        return
    variables = {e["name"]: e.get("value") for e in producer["spec"]["template"]["spec"]["containers"][0]["env"]}
    entities = source.get("simulator", {}).get("entities", 0) * expected // rate if expected < rate else 0
    if variables.get("VYUHA_ENTITIES") != (str(entities) if entities else None):
        yield f"VYUHA_ENTITIES of the producer is {variables.get('VYUHA_ENTITIES')}, but at {expected} events a second {entities or 'the use case decides'}."


def credentials(r: Rendering) -> Iterator[str]:
    """No credential in a ConfigMap, an argument or a plain variable."""
    word = re.compile(r"password|secret|token|credential", re.I)
    for config in r.of("ConfigMap"):
        for key, value in config.get("data", {}).items():
            if word.search(key) or re.search(r"redis://[^@\s]*:[^@\s]+@", str(value)):
                yield f"ConfigMap {config['metadata']['name']}: {key} belongs into a Secret."
    for _, template in r.pods():
        for _, container in containers(template):
            for variable in container.get("env", []):
                if word.search(variable["name"]) and "value" in variable:
                    yield f"{name_of(template)}: {variable['name']} belongs into a Secret."
    for _, template in r.pods():
        if name_of(template) in NEEDS_REDIS:
            main = template["spec"]["containers"][0]
            url = next((e for e in main.get("env", []) if e["name"] == "REDIS_URL"), {})
            if "secretKeyRef" not in url.get("valueFrom", {}):
                yield f"{name_of(template)}: REDIS_URL does not come from a Secret."


RULES = {
    "hardened: non-root, read-only, no capabilities, no tokens, seccomp": hardening,
    "every container has requests and limits": resources,
    "Kafka's heap, log cleaner's buffer, collector and limit fit each other": broker.memory,
    "probes mean something, stops are graceful": probes,
    "images are the Dockerfile's targets, ports those of the catalog": images_and_ports,
    "ConfigMap, Secret, volume and account references resolve": references,
    "selectors match what they should, Service ports exist": selectors,
    "network policies open exactly what is needed": network,
    "the use case's bytes, names, rate, groups and partitions agree": the_use_case,
    "credentials are in Secrets": credentials,
}


def faults(r: Rendering) -> list[str]:
    return [f"{title}: {fault}" for title, rule in RULES.items() for fault in rule(r)]
