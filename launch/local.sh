#!/usr/bin/env bash
# bash launch/local.sh VERB [ARGS…]: makes .venv where needed and runs jax-mdpo in it, on this machine's GPU where it has one.
# `bash launch/local.sh demo` is the place to start; launch/environment.sh lists the variables it minds.
# shellcheck source=launch/environment.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"

# shellcheck disable=SC2119  # no extras: the arguments are the program's
prepare_environment
exec "$VENV/bin/jax-mdpo" "$@"
