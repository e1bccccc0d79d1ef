#!/usr/bin/env bash
# bash launch/test.sh [PYTEST ARGS…]: makes .venv with the test extra where needed and runs the tests, all of them without arguments.
# shellcheck source=launch/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

prepare_environment test
cd -- "$ROOT" || exit
exec "$VENV/bin/python" -m pytest "$@"
