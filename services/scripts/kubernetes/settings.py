"""What the manifests set is what the executables understand: each container's command line and environment, with --check-config."""
import os
import subprocess
from collections.abc import Iterator
from functools import partial

import catalog

from .render import ROOT, Rendering, environment
from .rules import containers, name_of
from .tools import executable

HOME = "/usr/share/vyuha/usecases/"
# What a person could have put into a Secret, where not any text will do.
MADE = {
    "VYUHA_SMTP_URL": "smtp://mail.example.com:587", "VYUHA_SMTP_FROM": "alerts@example.com", "VYUHA_SMTP_TO": "a@example.com, b@example.com",
    "VYUHA_SMTP_SECURITY": "required",
}


def secret(rendering: Rendering, name: str, reference: dict) -> str | None:
    """What could stand in a Secret: the suite's own, or one that a person makes."""
    if name == "REDIS_URL":
        return "redis://:secret@redis:6379/0"
    if reference["name"] in rendering.outside or reference.get("optional"):
        return MADE.get(name, "https://example.com/hook" if "URL" in name else "made-by-a-person")
    return None


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
                variables = {k: v.replace(HOME, f"{ROOT}/services/usecases/") for k, v in environment(rendering, container, lambda _: "pod-0", partial(secret, rendering)).items()}
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
