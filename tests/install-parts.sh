#!/bin/sh
# Installs every part from outside that the test suite runs against: Prometheus
# and its node exporter (apt), moto, pyarrow and DuckDB (pip), azurite (npm).
# Quick when all are there; safe to repeat. Leaves no service running.
#
# The npm part goes to $VARVE_TOOLS (default ~/.cache/varve-tools), where the
# tests look for it.
set -eu

tools=${VARVE_TOOLS:-$HOME/.cache/varve-tools}
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo

have() { command -v "$1" >/dev/null 2>&1; }

# --- apt -------------------------------------------------------------------
missing=
have prometheus || missing="$missing prometheus"
have prometheus-node-exporter || missing="$missing prometheus-node-exporter"
have python3 || missing="$missing python3"
if ! python3 -m pip --version >/dev/null 2>&1; then missing="$missing python3-pip"; fi
# A node that is there without npm comes from elsewhere; Debian's would clash.
have node || missing="$missing nodejs"
have npm || missing="$missing npm"
if [ -n "$missing" ]; then
    # Debian's packages start their services on installation. A policy-rc.d
    # that says 101 (action forbidden) prevents it, and is taken away after.
    policy=/usr/sbin/policy-rc.d
    placed=
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
        $sudo chmod 755 "$policy"
        placed=1
    fi
    trap '[ -z "$placed" ] || $sudo rm -f "$policy"' EXIT
    $sudo apt-get update -q
    # shellcheck disable=SC2086 # one word for each package
    $sudo env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends $missing
fi

# --- pip -------------------------------------------------------------------
missing=
have moto_server || missing="$missing moto[server,s3]"
python3 -c 'import pyarrow.parquet' 2>/dev/null || missing="$missing pyarrow"
python3 -c 'import duckdb' 2>/dev/null || missing="$missing duckdb"
if [ -n "$missing" ]; then
    # Newer Debian and Ubuntu refuse to install beside their own packages
    # without this flag; older pips do not know it.
    flag=
    if python3 -m pip install --help | grep -q break-system-packages; then
        flag=--break-system-packages
    fi
    # shellcheck disable=SC2086 # one word for each package
    python3 -m pip install --quiet $flag $missing
fi

# --- npm -------------------------------------------------------------------
if ! have azurite-blob && [ ! -x "$tools/node_modules/.bin/azurite-blob" ]; then
    mkdir -p "$tools"
    npm install --silent --no-audit --no-fund --prefix "$tools" azurite
fi

# --- say what there is -----------------------------------------------------
echo "prometheus    $(prometheus --version 2>&1 | head -n 1)"
echo "node exporter $(prometheus-node-exporter --version 2>&1 | head -n 1)"
python3 - <<'PYTHON'
from importlib.metadata import version
for name in ("moto", "pyarrow", "duckdb"):
    print(f"{name:<13} {version(name)}")
PYTHON
if have azurite-blob; then
    echo "azurite       $(command -v azurite-blob)"
else
    echo "azurite       $tools/node_modules/.bin/azurite-blob"
fi
have moto_server || echo "note: moto_server is not on PATH; add the folder of pip's scripts"
