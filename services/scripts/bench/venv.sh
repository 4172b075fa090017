#!/usr/bin/env bash
# The Python of the peers that `make bench` measures against: a virtual environment of its own with the packages of requirements.txt.
# Prints the path of its interpreter, or a sentence on standard error and status 1 where it cannot be made.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../../../.build/bench-venv}
python=$folder/bin/python
if ! [ -x "$python" ] || ! cmp -s "$here/requirements.txt" "$folder/requirements.txt"; then
    { python3 -m venv "$folder" && "$python" -m pip install -q --disable-pip-version-check -r "$here/requirements.txt"; } >&2 || {
        echo "The packages of $here/requirements.txt cannot be installed." >&2
        exit 1
    }
    cp "$here/requirements.txt" "$folder/requirements.txt"
fi
echo "$python"
