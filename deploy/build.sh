#!/bin/sh
# Builds the wheels of the hub and of the chosen plugins, and installs them, with the versions of requirements.lock,
# into a virtual environment of their own. The Dockerfile calls it. It needs uv, and the Python named by PYTHON.
#
#   PLUGINS="postgres qdrant" EXTRAS="otel redis" deploy/build.sh /opt/pegboard
set -eu

target=$1
cd "$(dirname "$0")/.."
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT

for plugin in ${PLUGINS:-}; do
    test -f "plugins/$plugin/pyproject.toml" || {
        echo "there is no plugin '$plugin'; PLUGINS may have" plugins/* | sed 's|plugins/||g' >&2
        exit 1
    }
done
for package in hub $(printf 'plugins/%s ' ${PLUGINS:-} | sed 's|^plugins/ $||'); do
    uv build -q --wheel --no-sources --out-dir "$wheels" "$package"
done

# Wheels are given by their paths, so that no package of the same name can come from anywhere else.
extras=$(echo "${EXTRAS:-}" | tr -s ' ' ',')
hub=$(echo "$wheels"/pegboard-*.whl)
plugins=$(find "$wheels" -name 'pegboard_*.whl')
grep -v '^-e' requirements.lock > "$wheels/versions.txt"

uv venv -q --no-python-downloads --python "${PYTHON:-python3}" "$target"
# shellcheck disable=SC2086 # one word for each wheel
uv pip install -q --python "$target/bin/python" --compile-bytecode \
    --constraint "$wheels/versions.txt" "$hub${extras:+[$extras]}" $plugins
cp deploy/healthcheck.py "$target/healthcheck.py"
