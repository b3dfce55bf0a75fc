#!/bin/sh
# From a checkout to a folder that has Hooklane and what it runs with, and nothing that builds it:
#
#   sh requirements/image.sh SOURCE TARGET
#
# Every package is one whose hash is written down; nothing is compiled. Run by the Dockerfile. PYTHON
# names another interpreter than python3.
set -eu
source=$1
target=$2
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

install() {
  environment=$1
  shift
  "$environment/bin/python" -m pip install --quiet --no-cache-dir --no-input \
    --disable-pip-version-check "$@"
}

"$python" -m venv "$work/build"
install "$work/build" --require-hashes --only-binary :all: --requirement "$source/requirements/image-build.txt"
(cd "$source" && "$work/build/bin/hatchling" build --target wheel --directory "$work/wheel" > /dev/null)

"$python" -m venv "$target"
install "$target" --require-hashes --only-binary :all: --requirement "$source/requirements/image.txt"
install "$target" --no-deps --no-index "$work"/wheel/hooklane-*.whl
"$target/bin/python" -m pip uninstall --quiet --yes --disable-pip-version-check pip
