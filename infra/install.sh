#!/usr/bin/env bash
# Makes a virtual environment with the project in it: install.sh FOLDER; PYTHON and EXTRAS may be set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=${1:?usage: install.sh FOLDER}
python=${PYTHON:-python3}
extras=${EXTRAS:-demo,train,dev}

fail() {
    echo "install: $*" >&2
    exit 1
}

command -v "$python" > /dev/null || fail "no $python on the path; install Python 3.11 or 3.12, or set PYTHON"
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' ||
    fail "$("$python" --version) found; expected 3.11 or 3.12 (set PYTHON to another interpreter)"

# DeepSpeed compiles one op at its first start: it needs a C++ compiler, ninja and Python's headers.
missing=()
command -v g++ > /dev/null || missing+=(g++)
command -v ninja > /dev/null || missing+=(ninja-build)
"$python" -c 'import pathlib, sys, sysconfig; sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists())' ||
    missing+=(python3-dev)
"$python" -c 'import ensurepip' 2> /dev/null || missing+=(python3-venv)
if ((${#missing[@]})); then
    line="apt-get install -y ${missing[*]}"
    if [[ $EUID -eq 0 ]] && command -v apt-get > /dev/null; then
        echo "install: $line"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    else
        fail "these are missing: ${missing[*]}; on Debian or Ubuntu: sudo $line"
    fi
fi

[[ -x $venv/bin/python ]] || "$python" -m venv "$venv"
# Compiled afterwards, on every core: pip takes one, and minutes.
pip_install() { "$venv/bin/python" -m pip --disable-pip-version-check install -qq --no-compile "$@"; }

cuda=false
if command -v nvidia-smi > /dev/null && nvidia-smi --list-gpus 2> /dev/null | grep -q GPU; then cuda=true; fi

# Without CUDA a CPU build is asked for first, from the files that pip is configured to look at; it is gigabytes smaller.
torch=$(grep '^torch==' constraints.txt)
if ! $cuda && ! "$venv/bin/python" -c 'import torch' 2> /dev/null; then
    pip_install --no-index --no-deps "$torch" 2> /dev/null ||
        echo "install: pip's find-links hold no CPU build of $torch; the package index chooses one"
fi
echo "install: torch, then the project with [$extras] into $venv; this takes minutes the first time"
pip_install --constraint constraints.txt "$torch"
pip_install --constraint constraints.txt --editable ".[$extras]"
if [[ ,$extras, == *,dev,* ]]; then
    # What these ask for beside (triton, torchaudio, torchvision) is large, and the tests use none of it.
    pip_install --constraint constraints.txt --no-deps allin1 audiobox-aesthetics easydict museval muq openai-whisper
fi
# A file that is no Python of this version is told of when it is imported.
"$venv/bin/python" -m compileall -qq -j 0 "$venv/lib" > /dev/null || true

installed=$("$venv/bin/python" -m pip list --format=freeze --disable-pip-version-check)
if grep -qi '^torchaudio==' <<< "$installed"; then
    fail "torchaudio is in $venv, and its presence makes every transformers model fail to import; run: $venv/bin/pip uninstall -y torchaudio"
fi
if ! $cuda && grep -qi '^nvidia-' <<< "$installed"; then
    echo "install: no CUDA here, yet torch brought $(grep -ci '^nvidia-' <<< "$installed") nvidia packages (it works, and takes gigabytes);" \
        "to avoid it, set PIP_FIND_LINKS to a folder with a CPU build of $torch and remove $venv"
fi
"$venv/bin/python" -c 'import torch; print(f"install: torch {torch.__version__}, CUDA", "usable" if torch.cuda.is_available() else "not used")'
if ! $cuda && [[ ,$extras, == *,train,* ]]; then
    echo "install: DeepSpeed compiles its communication op; this takes half a minute the first time"
    DS_ACCELERATOR=cpu "$venv/bin/python" -c \
        'from pipelines.loop.deepspeed_engine import compile_communication_op; compile_communication_op()' > /dev/null
fi
