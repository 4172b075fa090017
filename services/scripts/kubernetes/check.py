#!/usr/bin/env python3
"""Renders and checks k8s/ and helm/: every overlay, every combination of components, the chart, and that all tell the same story.

What it needs beyond python3 it puts into .build/tools-venv (PyPI) or expects on the PATH (kubectl, terraform); a check whose tool is not
there is named as skipped. Exit status 1 where a check failed.
"""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
# This folder is a package of the one above, not a place to import from.
sys.path[0] = str(Path(__file__).resolve().parents[1])
from lib import environment  # noqa: E402


def main() -> int:
    environment.enter(__file__)
    from kubernetes import run

    return run.all_checks()


if __name__ == "__main__":
    sys.exit(main())
