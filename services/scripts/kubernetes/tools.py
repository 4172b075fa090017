"""The programs that the checks call: kubectl and the built executables."""
import re
import shutil
import subprocess
from pathlib import Path

from lib.environment import ROOT


def kubectl() -> tuple[str | None, str]:
    """The path of a kubectl whose kustomize knows components (1.21 or newer), or None and why."""
    path = shutil.which("kubectl")
    if path is None:
        return None, "kubectl is not installed (Debian 13: apt install kubectl; elsewhere: kubernetes.io/docs/tasks/tools)"
    text = subprocess.run([path, "version", "--client"], capture_output=True, text=True).stdout
    found = re.search(r'v1\.(\d+)\.', text)
    if not found or int(found.group(1)) < 27:
        return None, f"kubectl is older than 1.27 ({text.strip().splitlines()[:1]})"
    return path, ""


def executable(name: str) -> Path | None:
    """The newest build of an executable, if there is one."""
    found = [path for path in (ROOT / ".build" / kind / name for kind in ("debug", "release")) if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)
