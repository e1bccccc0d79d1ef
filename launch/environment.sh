# shellcheck shell=bash
# Makes and keeps .venv; sourced by the other launch scripts, which then call `prepare_environment EXTRA...`.
#
#   PYTHON                 the interpreter to make .venv with   (default: the newest of python3.13 … python3.11, python3)
#   JAX_MDPO_VENV          where the environment lies           (default: .venv in the checkout)
#   JAX_MDPO_ACCELERATOR   cpu, cuda, tpu or auto               (default: auto, which is cuda where nvidia-smi lists a GPU)
#
# A stamp in .venv says what was installed for which pyproject.toml; while it holds, nothing is started but the program.

set -euo pipefail

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=${JAX_MDPO_VENV:-$ROOT/.venv}
unset PYTHONDONTWRITEBYTECODE # pip installs without compiling, which halves its time: what is imported is compiled then, and kept
STAMP=$VENV/jax-mdpo.stamp
UNFINISHED=$VENV/jax-mdpo.unfinished # stands there while pip works: an environment that was cut off is made anew

say() { printf '%s\n' "$*" >&2; }

die() { # what is wrong, then one line for each of expected, got and to fix
  printf '%s\n' "$@" >&2
  exit 1
}

prepare_environment() {
  local extras
  extras=$(wanted_extras "$@") || exit
  environment_holds "$extras" && return
  local python
  python=$(suitable_python) || exit
  lock_environment "$python"
  if ! environment_holds "$extras"; then # another launch may have finished it while this one waited
    make_environment "$python"
    install_package "$extras"
  fi
  exec 9>&- # lets the next launch go on
}

wanted_extras() {
  local accelerator=${JAX_MDPO_ACCELERATOR:-auto}
  case $accelerator in
    auto) if stamp_has_extra cuda || has_nvidia_gpu; then set -- "$@" cuda; fi ;;
    cuda | tpu) set -- "$@" "$accelerator" ;;
    cpu) ;;
    *) die "JAX_MDPO_ACCELERATOR is not known" "  expected: auto, cpu, cuda or tpu" "  got: $accelerator" ;;
  esac
  printf '%s\n' "$@"
}

has_nvidia_gpu() {
  command -v nvidia-smi >/dev/null && [[ $(nvidia-smi -L 2>/dev/null) == *"GPU 0"* ]]
}

# --- what stands ---------------------------------------------------------------------------------------------------------------

fingerprint() { # of all that makes an installed environment stale, except the extras
  printf 'root %s\n' "$ROOT"
  printf 'project %s\n' "$(cksum <"$ROOT/pyproject.toml")"
}

stamp_has_extra() { [[ -f $STAMP ]] && grep -qx "extra $1" "$STAMP"; }

environment_holds() { # the extras, one a line
  [[ -f $STAMP && -x $VENV/bin/python && ! -e $UNFINISHED ]] || return 1
  [[ $(sed -n '1,2p' "$STAMP") == "$(fingerprint)" ]] || return 1
  [[ -z ${PYTHON:-} || $(version_of "$PYTHON") == "$(version_of "$VENV/bin/python")" ]] || return 1
  local extra
  for extra in $1; do
    stamp_has_extra "$extra" || return 1
  done
}

version_of() { "$1" -S -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo none; }

is_recent() { "$1" -S -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

suitable_python() {
  local candidate
  if [[ -n ${PYTHON:-} ]]; then
    is_recent "$PYTHON" || die "PYTHON cannot be used" "  expected: Python 3.11 or newer" "  got: $PYTHON, version $(version_of "$PYTHON")" \
      "  to fix: PYTHON=/path/to/python3.12 bash $0 …"
    command -v "$PYTHON"
    return
  fi
  for candidate in python3.13 python3.12 python3.11 python3 python; do
    if command -v "$candidate" >/dev/null && is_recent "$candidate"; then
      command -v "$candidate"
      return
    fi
  done
  die "No suitable Python was found" "  expected: Python 3.11 or newer on PATH" \
    "  got: python3 is $(command -v python3 || echo absent), version $(version_of python3)" \
    "  to fix: install one, or name it: PYTHON=/path/to/python3.12 bash $0 …"
}

# --- making it -----------------------------------------------------------------------------------------------------------------

lock_environment() { # Python's flock on a descriptor of this shell: held until the shell closes it or ends, on Linux and macOS alike
  mkdir -p "$(dirname -- "$VENV")"
  exec 9>"$VENV.lock"
  "$1" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null && return
  say "Another launch is preparing $VENV; waiting for it."
  "$1" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
}

make_environment() {
  if [[ -e $VENV || -L $VENV ]] && ! can_be_kept "$1"; then
    [[ -d $VENV && (-e $VENV/pyvenv.cfg || -e $UNFINISHED || -z $(ls -A -- "$VENV")) ]] || die "$VENV stands in the way" \
      "  expected: a virtual environment, or nothing" "  got: something else, which is left as it is" "  to fix: move it away, or set JAX_MDPO_VENV"
    say "Removing the unusable environment in $VENV"
    rm -rf -- "$VENV"
  fi
  mkdir -p "$VENV" && : >"$UNFINISHED"
  local failure=("  expected: '$1 -m venv' and '$1 -m pip' to work" "  to fix: install Python's venv and pip (on Debian: python3-venv)")
  if [[ ! -x $VENV/bin/python ]]; then
    say "Making $VENV with $1 (Python $(version_of "$1"))"
    "$1" -m venv --without-pip "$VENV" || die "The environment could not be made" "${failure[@]}"
  fi
  add_pip "$1" 9>&- || die "The environment has no pip" "${failure[@]}"
}

can_be_kept() { # what works, has the Python that was asked for, was not moved and not cut off half way
  [[ ! -e $UNFINISHED && -x $VENV/bin/python ]] && is_recent "$VENV/bin/python" || return 1
  [[ ! -f $STAMP || $(sed -n 1p "$STAMP") == "root $ROOT" ]] || return 1
  [[ -z ${PYTHON:-} || $(version_of "$1") == "$(version_of "$VENV/bin/python")" ]]
}

add_pip() { # Debian's Python without python3-venv has no ensurepip, but a pip that installs into other environments
  "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && return
  "$VENV/bin/python" -m ensurepip >/dev/null 2>&1 || "$1" -m pip --python "$VENV/bin/python" install --quiet pip
}

install_package() { # with the extras, one a line, and those that are there already
  local extras extra
  extras=$({ printf '%s\n' "$1" && { [[ ! -f $STAMP ]] || sed -n 's/^extra //p' "$STAMP"; }; } | sort -u | sed '/^$/d')
  [[ $'\n'$extras$'\n' != *$'\n'test$'\n'* ]] || install_torch
  say "Installing jax-mdpo${extras:+ with ${extras//$'\n'/, }} (a few minutes the first time)"
  pip_install --editable "$ROOT${extras:+[${extras//$'\n'/,}]}"
  fingerprint >"$STAMP.new"
  for extra in $extras; do printf 'extra %s\n' "$extra" >>"$STAMP.new"; done
  mv -- "$STAMP.new" "$STAMP"
  rm -f -- "$UNFINISHED"
}

install_torch() { # first and by exact version: only so is its CPU build taken. It exists for Python 3.11; tests skip without it.
  [[ $(version_of "$VENV/bin/python") == 3.11 ]] || return 0
  pip_install "$(grep -o 'torch==[0-9.]*' "$ROOT/pyproject.toml")"
}

pip_install() {
  trap 'exit 130' INT
  if ! "$VENV/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check "$@" 9>&-; then
    rm -f -- "$UNFINISHED" # pip took back what it had begun
    die "pip could not install $*" "  expected: access to a package index, and a few GB of free disk" \
      "  to fix: see pip's message above, then start the same command again"
  fi
  trap - INT
}
