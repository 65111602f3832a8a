#!/bin/sh
# Makes or refreshes .venv from requirements.txt and installs contriever_lite into it, editable.
# `make` calls this when .venv/ready is missing or older than requirements.txt or pyproject.toml;
# an interrupted installation leaves no .venv/ready and is simply repeated.
set -eu
cd "$(dirname "$0")/.."

suitable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        suitable "$PYTHON" && echo "$PYTHON" && return
        echo "PYTHON=$PYTHON is not a Python 3.10 or newer that runs here." >&2
        return 1
    fi
    for candidate in python3.13 python3.12 python3.11 python3.10 python3 python; do
        suitable "$candidate" && echo "$candidate" && return
    done
    echo "No Python 3.10 or newer was found (python3 is: $(python3 --version 2>&1 || true))." >&2
    echo "Install one from python.org or your system's packages, or name it:" \
        "make PYTHON=/path/to/python3.12" >&2
    return 1
}

if ! suitable .venv/bin/python; then
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "$python cannot make virtual environments. On Debian or Ubuntu:" \
            "sudo apt install python3-venv" >&2
        exit 1
    fi
    echo "Making .venv with $("$python" --version)."
    "$python" -m venv --clear .venv
fi

echo "Installing the packages of requirements.txt into .venv."
echo "The first time this takes about a minute and a half and 2.3 GB of disk. What pip says follows."
rm -f .venv/ready
install=".venv/bin/python -m pip --disable-pip-version-check install"
$install -r requirements.txt
$install --no-deps --editable .
.venv/bin/python -m pip check
touch .venv/ready
echo "The environment is ready."
