#!/usr/bin/env python3
"""Runs the pods of a rendered overlay as containers of a Docker Engine: the manifest's own image, command, settings, files, user, security
context, limits and probes, as far as an engine knows them.

    services/scripts/kubernetes/manifest-containers.py print battlefield     the docker commands
    services/scripts/kubernetes/manifest-containers.py run battlefield       runs them and sees what must be seen; leaves nothing

`run` sees: Kafka and Redis become ready; the topics and training jobs succeed; each service becomes ready, is not root, has no capability,
cannot gain privileges, has a read-only root; lives within its memory limit under load; and ends by itself on SIGTERM within its grace.

    VYUHA_VERSION             tag of the suite's images instead of the manifest's
    KAFKA_IMAGE, REDIS_IMAGE  images that stand in for those of the manifest, where these cannot be pulled
    LOAD                      events a second of the load, 20000 by default
"""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
# This folder is a package of the one above, not a place to import from.
sys.path[0] = str(Path(__file__).resolve().parents[1])
from lib import environment  # noqa: E402


def main() -> int:
    if len(sys.argv) != 3 or sys.argv[1] not in ("print", "run"):
        print(__doc__)
        return 64
    environment.enter(__file__)
    from kubernetes import tools

    kubectl, why = tools.kubectl()
    if kubectl is None or not environment.has("yaml"):
        print(f"manifest-containers: SKIPPED: {why or 'PyYAML could not be installed from PyPI'}.")
        return 0
    from kubernetes import containers, render

    overlay = next((r for r in render.overlays(kubectl) if r.use_case == sys.argv[2]), None)
    if overlay is None:
        print(f"manifest-containers: there is no overlay {sys.argv[2]}.")
        return 64
    return containers.show(overlay) if sys.argv[1] == "print" else containers.run(overlay)


if __name__ == "__main__":
    sys.exit(main())
