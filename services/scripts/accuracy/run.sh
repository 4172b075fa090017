#!/usr/bin/env bash
# make accuracy: accuracy.py with the Python packages that it needs, in a virtual environment of its own. Arguments go to accuracy.py.
# VYUHA_ACCURACY_PYTHON names an interpreter that has the packages of requirements.txt.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
here=$(cd "$(dirname "$0")" && pwd)
python3 "$here/needs.py" "${1:-}"
folder=$here/../../../.build/accuracy-venv
python=${VYUHA_ACCURACY_PYTHON:-$folder/bin/python}
if [ -z "${VYUHA_ACCURACY_PYTHON:-}" ] && ! cmp -s "$here/requirements.txt" "$folder/requirements.txt"; then
    { python3 -m venv "$folder" && "$python" -m pip install -q --disable-pip-version-check -r "$here/requirements.txt"; } >&2 || {
        echo "The packages of $here/requirements.txt cannot be installed; Debian needs python3-venv for it." >&2
        exit 1
    }
    cp "$here/requirements.txt" "$folder/requirements.txt"
fi
exec "$python" "$here/accuracy.py" "$@"
