"""Whether what an overlay or the chart starts fits the node that k8s/README.md names: a Minikube of 3.5 GB and 2 CPUs."""
from collections.abc import Iterator
from typing import NamedTuple

import catalog

from .render import Rendering, bytes_of

# What Minikube's own pods leave of 3.5 GB and of 2 CPUs; they request about 0.85 CPU.
REQUESTED_MEMORY, REQUESTED_CPU = 3.2e9, 1.15
# All limits together, so that nothing is evicted even when every pod takes what it may.
LIMITED_MEMORY = 2.8e9
# Room that is kept free in that sum for what is still to come or what a user adds; a service of the catalog counts with its own limit.
RESERVED = {"dashboard": 128 * 2**20, "model-monitor": 128 * 2**20, "MinIO": 256e6}
for service in catalog.services():
    RESERVED.pop(service.name, None)


class Size(NamedTuple):
    requested_memory: float
    requested_cpu: float
    limited_memory: float

    @property
    def text(self) -> str:
        return (f"requests {self.requested_memory / 1e6:.0f} MB and {self.requested_cpu:.2f} CPUs, limits {self.limited_memory / 1e6:.0f} MB, jobs included; "
                f"{sum(RESERVED.values()) / 1e6:.0f} MB are reserved")


def size(r: Rendering) -> Size:
    """Sums over everything that may run at once: services, servers and jobs, but not a test pod, which a person starts."""
    total = [0.0, 0.0, 0.0]
    for owner, template in r.pods():
        if owner["kind"] == "Pod":
            continue
        spec = template["spec"]
        for index, (part, kind) in enumerate((("requests", "memory"), ("requests", "cpu"), ("limits", "memory"))):
            running = sum(bytes_of(c["resources"][part].get(kind, "0")) for c in spec["containers"])
            first = max((bytes_of(c["resources"][part].get(kind, "0")) for c in spec.get("initContainers", [])), default=0)
            total[index] += owner["spec"].get("replicas", 1) * max(running, first)
    return Size(*total)


def faults(r: Rendering) -> Iterator[str]:
    found = size(r)
    if found.requested_memory > REQUESTED_MEMORY:
        yield f"requests {found.requested_memory / 1e9:.2f} GB; Minikube's own pods leave {REQUESTED_MEMORY / 1e9} GB."
    if found.requested_cpu > REQUESTED_CPU:
        yield f"requests {found.requested_cpu:.2f} CPUs; Minikube's own pods leave {REQUESTED_CPU} of 2."
    if found.limited_memory + sum(RESERVED.values()) > LIMITED_MEMORY:
        yield (f"limits sum to {found.limited_memory / 1e6:.0f} MB; with {sum(RESERVED.values()) / 1e6:.0f} MB for {', '.join(RESERVED)} "
               f"that is more than {LIMITED_MEMORY / 1e9} GB.")
