#!/usr/bin/env python3
"""Renders and checks k8s/ and helm/: every overlay, every combination of components, the chart, and that all tell the same story.

What it needs beyond python3 it puts into .build/tools-venv (PyPI) or expects on the PATH (kubectl, terraform); a check whose tool is not
there is named as skipped. Exit status 1 where a check failed.
"""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from kubernetes import tools  # noqa: E402


def main() -> int:
    tools.enter_venv(__file__)
    from kubernetes import run

    return run.all_checks()


if __name__ == "__main__":
    sys.exit(main())
