#!/usr/bin/env bash
# make accuracy: accuracy.py with the Python packages that it needs, in a virtual environment of its own. Arguments go to accuracy.py.
# VYUHA_ACCURACY_PYTHON names an interpreter that has the packages of requirements.txt.
set -euo pipefail
export PYTHONDONTWRITEBYTECODE=1
here=$(cd "$(dirname "$0")" && pwd)
python3 "$here/needs.py" "${1:-}"
python=${VYUHA_ACCURACY_PYTHON:-}
if [ -z "$python" ]; then python=$("$here/../lib/venv.sh" accuracy -r "$here/requirements.txt")/bin/python; fi
"$python" "$here/accuracy.py" "$@"
# Without options: also whether the choice of a detector would hold on families that it was not made on.
if [ $# -eq 1 ]; then exec "$python" "$here/nested.py" "$1"; fi
