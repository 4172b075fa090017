#!/usr/bin/env bash
# venv.sh NAME PACKAGE...: Python packages for one task, such as `venv.sh bench -r requirements.txt`, in a virtual environment of their own, made
# when it is missing or when other packages are asked for. Prints its folder; status 1 and a sentence on standard error where it cannot be made.
set -euo pipefail

name=$1
shift
folder=$(cd "$(dirname "$0")/../../.." && pwd)/.build/$name-venv
wanted=$(for word in "$@"; do if [ -f "$word" ]; then cat "$word"; else echo "$word"; fi; done)
if ! [ -x "$folder/bin/python" ] || [ "$wanted" != "$(cat "$folder/wanted" 2>/dev/null)" ]; then
    { python3 -m venv "$folder" && "$folder/bin/python" -m pip install -q --disable-pip-version-check "$@"; } >&2 || {
        echo "These Python packages cannot be installed, or Debian's python3-venv is missing: $*" >&2
        exit 1
    }
    printf '%s\n' "$wanted" >"$folder/wanted"
fi
echo "$folder"
