#!/usr/bin/env bash
# Reports what is known against the pinned packages; a report and no gate: it says so where it could not ask, and exits 0.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${1:-.venv/audit}
limit_s=${AUDIT_LIMIT_S:-120}
python=${PYTHON:-python3}
answer=$(mktemp)
said=$(mktemp)
trap 'rm -f "$answer" "$said"' EXIT

# In an environment of its own: what the auditor needs is none of the project's business.
if ! { [[ -x $venv/bin/pip-audit ]] || { "$python" -m venv "$venv" &&
    "$venv/bin/python" -m pip install -qq --disable-pip-version-check --constraint constraints.txt pip-audit; }; } > "$said" 2>&1; then
    echo "audit: NOT DONE, pip-audit cannot be installed: $(tail -n 1 "$said")"
    exit 0
fi
timeout "$limit_s" "$venv/bin/pip-audit" --requirement constraints.txt --no-deps --disable-pip \
    --progress-spinner off --format json --output "$answer" 2> "$said"
"$python" infra/audit_report.py "$answer" "$said"
exit 0
