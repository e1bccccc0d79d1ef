#!/usr/bin/env bash
# Trains on every host of a Cloud TPU slice: copies this checkout to each, installs the TPU build of jax there and starts one process a host.
set -euo pipefail

usage() {
  cat <<'TEXT'
bash launch/tpu_pod.sh NAME ZONE CONFIG [key=value …] [options]

  NAME ZONE          the slice, as gcloud names it
  CONFIG key=value   what `jax-mdpo train` gets; CONFIG is a file of this checkout, by its path relative to it

  --project P        the Google Cloud project              (default: gcloud's own)
  --directory D      where the checkout lies on each host  (default: jax_mdpo, in the home directory)
  --setup COMMAND    runs first on each host: mount the data, install Python 3.11 where the image has an older one
  --resume           goes on with the run in `out`
  --hosts N          how many hosts to list in a dry run   (default: gcloud is asked)
  --dry-run          prints what each host would run, and does nothing

Data paths and `out` must mean the same storage on every host (a mounted bucket or NFS): checkpoints are written by all of them.
jax.distributed finds the other hosts by the slice's own metadata. Ctrl-C stops the local end of the connection; to stop the hosts,
end `jax-mdpo` there (it saves a checkpoint on SIGTERM).
TEXT
}

die() {
  printf '%s\n' "$@" >&2
  exit 1
}

ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
POSITIONAL=() GCLOUD_PROJECT=() DIRECTORY=jax_mdpo SETUP='' RESUME='' HOSTS='' DRY_RUN=''

parse() {
  while (($#)); do
    case $1 in
      --project | --directory | --setup | --hosts)
        (($# > 1)) || die "$1 has no value" "  to fix: bash launch/tpu_pod.sh --help"
        take_value "$1" "$2"
        shift
        ;;
      --resume) RESUME=' --resume' ;;
      --dry-run) DRY_RUN=yes ;;
      -h | --help) usage && exit ;;
      -*) die "unknown option $1" "  expected: --project, --directory, --setup, --hosts, --resume or --dry-run" ;;
      *) POSITIONAL+=("$1") ;;
    esac
    shift
  done
  ((${#POSITIONAL[@]} >= 3)) || die "NAME, ZONE and CONFIG are needed" "  got: ${POSITIONAL[*]:-nothing}" "  to fix: bash launch/tpu_pod.sh --help"
  [[ ${POSITIONAL[2]} != /* && -f $ROOT/${POSITIONAL[2]} ]] || die "CONFIG is not a file of this checkout" \
    "  expected: a path relative to $ROOT, for example configs/llava15_7b_mdpo.yaml" "  got: ${POSITIONAL[2]}"
}

take_value() {
  case $1 in
    --project) GCLOUD_PROJECT=(--project "$2") ;;
    --directory) DIRECTORY=$2 ;;
    --setup) SETUP=$2 ;;
    --hosts) [[ $2 =~ ^[1-9][0-9]*$ ]] || die "--hosts is not a number" "  got: $2" && HOSTS=$2 ;;
  esac
}

on_slice() { # VERB ARGS…: gcloud's verb for TPU machines, on all hosts of the slice
  gcloud compute tpus tpu-vm "$1" "${@:2}" --zone "$ZONE" ${GCLOUD_PROJECT[@]+"${GCLOUD_PROJECT[@]}"}
}

host_command() { # what a host runs once the checkout has arrived
  printf 'set -e; '
  [[ -z $SETUP ]] || printf '%s; ' "$SETUP"
  printf 'mkdir -p %q && tar -xzf %q -C %q && cd %q && ' "$DIRECTORY" "$ARCHIVE" "$DIRECTORY" "$DIRECTORY"
  printf 'JAX_MDPO_ACCELERATOR=tpu bash launch/local.sh train'
  printf ' %q' "${POSITIONAL[@]:2}"
  printf ' --distributed%s' "$RESUME"
}

count_hosts() {
  local addresses
  addresses=$(on_slice describe "$NAME" --format 'value(networkEndpoints[].ipAddress)') ||
    die "gcloud does not describe $NAME in $ZONE" "  to fix: check both with 'gcloud compute tpus tpu-vm list', or give --hosts N with --dry-run"
  tr ';,' '\n' <<<"$addresses" | grep -c .
}

print_plan() {
  local host
  HOSTS=${HOSTS:-$(count_hosts)} || exit
  for ((host = 0; host < HOSTS; host++)); do
    printf 'host %d of %d: %s\n' "$host" "$HOSTS" "$(host_command)"
  done
}

pack() { # the checkout as it lies here, changes included, without what each host makes for itself
  tar -czf "$1" -C "$ROOT" --exclude=.git --exclude='.venv*' --exclude='__pycache__' --exclude='.*_cache' \
    --exclude=./runs --exclude=./demo-run --exclude=./studies --exclude=./dist --exclude=./build .
}

launch() {
  local staging
  staging=$(mktemp -d)
  # shellcheck disable=SC2064  # the path of now
  trap "rm -rf -- '$staging'" EXIT
  pack "$staging/$ARCHIVE"
  on_slice scp "$staging/$ARCHIVE" "$NAME:" --worker=all
  on_slice ssh "$NAME" --worker=all --command "$(host_command)"
}

parse "$@"
NAME=${POSITIONAL[0]} ZONE=${POSITIONAL[1]} ARCHIVE=jax_mdpo.tar.gz
if [[ -n $DRY_RUN ]]; then print_plan; else
  command -v gcloud >/dev/null || die "gcloud was not found" "  expected: the Google Cloud command line on PATH, signed in" "  to fix: install it, or look with --dry-run --hosts N"
  launch
fi
