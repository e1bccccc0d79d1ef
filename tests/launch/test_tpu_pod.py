"""launch/tpu_pod.sh against a gcloud that plays every host of the slice in a folder."""

import subprocess

import pytest

FAKE_GCLOUD = """
echo "$@" >>"$HOME/gcloud.log"
case "$*" in
  *" describe "*) echo "10.0.0.1;10.0.0.2;10.0.0.3;10.0.0.4" ;;
  *" scp "*) mkdir -p "$HOME/host" && cp "$5" "$HOME/host/" ;;
  *" ssh "*) while [[ $1 != --command ]]; do shift; done; cd "$HOME/host" && bash -c "$2" ;;
esac
"""


@pytest.fixture
def slice_machine(machine, fake_script):
    fake_script("gcloud", FAKE_GCLOUD)
    (machine.checkout / ".venv").mkdir()
    (machine.checkout / ".venv" / "large").touch()
    return machine


def gcloud_calls(machine) -> list[str]:
    log = machine.home / "gcloud.log"
    return log.read_text().splitlines() if log.exists() else []


def test_a_dry_run_prints_one_line_for_each_host_and_touches_nothing(slice_machine):
    plan = slice_machine.run("tpu_pod.sh", "pod", "zone-b", "configs/pod.yaml", "seed=1", "--hosts", "3", "--dry-run")
    lines = plan.stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["host 0 of 3", "host 1 of 3", "host 2 of 3"]
    assert all(line.endswith("launch/local.sh train configs/pod.yaml seed=1 --distributed") for line in lines)
    assert gcloud_calls(slice_machine) == []


def test_a_dry_run_asks_gcloud_for_the_hosts_where_they_are_not_given(slice_machine):
    plan = slice_machine.run("tpu_pod.sh", "pod", "zone-b", "configs/pod.yaml", "--project", "lab", "--dry-run")
    assert len(plan.stdout.splitlines()) == 4
    (call,) = gcloud_calls(slice_machine)
    assert call.startswith("compute tpus tpu-vm describe pod ")
    assert call.endswith("--zone zone-b --project lab")


def test_every_host_gets_the_checkout_and_runs_train(slice_machine):
    done = slice_machine.run("tpu_pod.sh", "pod", "zone-b", "configs/pod.yaml", "data.path=/mnt/my pairs.json", "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ran: <train> <configs/pod.yaml> <data.path=/mnt/my pairs.json> <--distributed> <--resume>\n"
    copied = slice_machine.home / "host" / "jax_mdpo"
    assert slice_machine.installs() == [f"{copied}[tpu]"]
    assert not (copied / ".venv" / "large").exists()
    assert all("--worker=all" in call for call in gcloud_calls(slice_machine))


def test_the_setup_command_runs_first(slice_machine):
    slice_machine.run("tpu_pod.sh", "pod", "zone-b", "configs/pod.yaml", "--setup", "touch was-set-up", "--directory", "work/here")
    assert (slice_machine.home / "host" / "was-set-up").exists()
    assert (slice_machine.home / "host" / "work" / "here" / "pyproject.toml").exists()


def test_a_host_that_fails_fails_the_launch(slice_machine):
    done = slice_machine.run("tpu_pod.sh", "pod", "zone-b", "configs/pod.yaml", "--setup", "exit 5")
    assert done.returncode == 5
    assert slice_machine.installs() == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["pod", "zone-b"], "CONFIG are needed"),
        (["pod", "zone-b", "configs/pod.yml"], "not a file of this checkout"),
        (["pod", "zone-b", "configs/pod.yaml", "--dryrun"], "unknown option --dryrun"),
        (["pod", "zone-b", "configs/pod.yaml", "--hosts", "many"], "not a number"),
        (["pod", "zone-b", "configs/pod.yaml", "--project"], "has no value"),
    ],
)
def test_wrong_arguments_are_named(slice_machine, arguments, told):
    refused = slice_machine.run("tpu_pod.sh", *arguments)
    assert refused.returncode == 1
    assert told in refused.stderr
    assert gcloud_calls(slice_machine) == []


def test_the_program_is_started_by_commands_that_a_shell_accepts(slice_machine):
    plan = slice_machine.run("tpu_pod.sh", "pod", "zone-b", "configs/pod.yaml", "out=it's (mine)", "--hosts", "1", "--dry-run")
    command = plan.stdout.split(": ", 1)[1]
    subprocess.run(["bash", "-n", "-c", command], check=True)
