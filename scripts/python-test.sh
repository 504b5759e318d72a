#!/usr/bin/env bash
# Tests the Python package: builds the wheel, installs it in build/python, and runs python/tests with the frameworks
# that docs/python.md names, in the versions that python/tests/requirements.txt and openwebui.txt pin. Needs PyPI the
# first time, and libllama (scripts/bootstrap.sh). The last line is the summary; the status is 1 if something failed.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/python-test.sh [--no-openwebui] [ARGUMENT-OF-PYTEST...]
  --no-openwebui   without Open WebUI, which is a download of 110 MB
environment:
  S2A_TEST_MODEL       a small GGUF model (that of `s2a pull smollm2-135m-instruct`)
  S2A_REQUIRE_LIVE=1   without it, it is a failure
  S2A_DOCS_LIVE=1      docs/python.md runs on the default model
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
openwebui=yes
case ${1-} in
    -h | --help) usage; exit 0 ;;
    --no-openwebui) openwebui=no; shift ;;
esac

here=python/tests
home=build/python
command -v python3 >/dev/null || { echo "python-test: python3 is not there; install it" >&2; exit 1; }
mkdir -p "$home"

# quietly LOG WHAT COMMAND...: shows the end of the command's output only if it fails.
quietly() {
    local log=$home/$1 what=$2
    shift 2
    "$@" >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        echo "python-test: could not $what" >&2
        exit 1
    }
}

# environment NAME: makes a virtual environment with the packages of NAME.txt, unless one exists for this content.
environment() {
    local venv=$home/$1 file=$here/$1.txt
    cmp -s "$file" "$venv/installed.txt" && return
    rm -rf "$venv"
    quietly install.log "install what $file names" timeout 3600 bash -euc '
        python3 -m venv "$1"
        "$1/bin/pip" install --disable-pip-version-check --no-deps -r "$2"' - "$venv" "$file"
    cp "$file" "$venv/installed.txt"
}

install_wheel() {
    quietly install.log "install the wheel" \
        "$home/$1/bin/pip" install --disable-pip-version-check --no-deps --force-reinstall "$home"/dist/*.whl
}

environment requirements
rm -rf "$home/dist"
quietly wheel.log "build the wheel" "$home/requirements/bin/pip" wheel --disable-pip-version-check --no-deps \
    --no-build-isolation -C build-dir="$home/build" -w "$home/dist" .
install_wheel requirements

# ---- run ----------------------------------------------------------------------------------------
export PYTHONDONTWRITEBYTECODE=1 S2A_REQUIRE_FRAMEWORKS=1
status=0
"$home/requirements/bin/mypy" --check-untyped-defs --cache-dir "$home/mypy" python/s2a || status=1
timeout 1500 "$home/requirements/bin/python" -P -m pytest -p no:cacheprovider -q -rxX --tb=short "$here" \
    --deselect "$here/test_openwebui.py::test_in_open_webui" "$@" | tee "$home/python.log" || status=1
says=$(tail -n 1 "$home/python.log")
if [[ $openwebui == yes ]]; then
    environment openwebui
    install_wheel openwebui
    timeout 600 "$home/openwebui/bin/python" -P -m pytest -p no:cacheprovider -q -rxX --tb=short -W ignore \
        "$here/test_openwebui.py" "$@" | tee "$home/openwebui.log" || status=1
    says+="; Open WebUI: $(tail -n 1 "$home/openwebui.log")"
fi
echo "python-test: $says"
exit $status
