"""What the manifests set is what the executables understand: each container's command line and environment, with --check-config."""
import os
import subprocess
from collections.abc import Iterator

import catalog

from .render import ROOT, Rendering
from .rules import containers, name_of
from .tools import executable

HOME = "/usr/share/vyuha/usecases/"
# What a person could have put into a Secret, where not any text will do.
MADE = {
    "VYUHA_SMTP_URL": "smtp://mail.example.com:587", "VYUHA_SMTP_FROM": "alerts@example.com", "VYUHA_SMTP_TO": "a@example.com, b@example.com",
    "VYUHA_SMTP_SECURITY": "required",
}


def environment(rendering: Rendering, container: dict) -> dict[str, str]:
    """The variables that the container gets, with values from ConfigMaps and Secrets put in as the kubelet would."""
    maps = {o["metadata"]["name"]: o.get("data", {}) for o in rendering.of("ConfigMap")}
    result: dict[str, str] = {}
    for source in container.get("envFrom", []):
        result |= maps.get(source["configMapRef"]["name"], {})
    for variable in container.get("env", []):
        origin = variable.get("valueFrom", {})
        if "value" in variable:
            result[variable["name"]] = variable["value"]
        elif "fieldRef" in origin:
            result[variable["name"]] = "pod-0"
        elif variable["name"] == "REDIS_URL":
            result[variable["name"]] = "redis://:secret@redis:6379/0"
        elif origin.get("secretKeyRef", {}).get("name") in rendering.outside or origin.get("secretKeyRef", {}).get("optional"):
            result[variable["name"]] = MADE.get(variable["name"], "https://example.com/hook" if "URL" in variable["name"] else "made-by-a-person")
    return result


def missing() -> list[str]:
    return [name for name in [*(service.name for service in catalog.services()), *catalog.tools()] if executable(name) is None]


def faults(renderings: list[Rendering]) -> Iterator[str]:
    seen: set[tuple] = set()
    for rendering in renderings:
        for _, template in rendering.pods():
            for _, container in containers(template):
                name = container["image"].split("/")[-1].split(":")[0]
                program = executable(name)
                if "vyuha/" not in container["image"] or program is None:
                    continue
                variables = {k: v.replace(HOME, f"{ROOT}/services/usecases/") for k, v in environment(rendering, container).items()}
                arguments = container.get("args", [])
                # Every namespace has its own address of Kafka; one is enough.
                key = (name, *arguments, *sorted((k, v) for k, v in variables.items() if k != "KAFKA_BOOTSTRAP_SERVERS"))
                if key in seen:
                    continue
                seen.add(key)
                # Other settings of this machine must not hide what the manifest leaves out.
                plain = {k: v for k, v in os.environ.items() if not k.startswith(("VYUHA_", "KAFKA_", "REDIS_"))}
                done = subprocess.run([program, *arguments, "--check-config"], env=plain | variables, capture_output=True, text=True)
                if done.returncode != 0:
                    yield f"{rendering.title}: {name_of(template)}: {(done.stderr or done.stdout).strip()}"
