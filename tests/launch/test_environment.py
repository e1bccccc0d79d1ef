"""launch/local.sh and launch/test.sh: made once, quick afterwards, whole again after anything that went wrong."""

import os
import signal
import time


def test_the_first_launch_installs_and_passes_every_argument_through(machine):
    done = machine.run("local.sh", "train", "a config.yaml", "data.path=x y", "--resume")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ran: <train> <a config.yaml> <data.path=x y> <--resume>\n"
    assert machine.installs() == [str(machine.checkout)]


def test_nothing_is_installed_while_nothing_changed(machine):
    machine.run("local.sh", "demo")
    again = machine.run("local.sh", "demo")
    assert (again.stdout, again.stderr) == ("ran: <demo>\n", "")
    assert len(machine.installs()) == 1


def test_a_changed_project_file_installs_again(machine):
    machine.run("local.sh")
    with (machine.checkout / "pyproject.toml").open("a") as project:
        project.write("# one more dependency\n")
    assert machine.run("local.sh").returncode == 0
    assert len(machine.installs()) == 2


def test_the_exit_status_is_the_programs(machine):
    machine.run("local.sh")
    program = machine.venv / "bin" / "jax-mdpo"
    program.write_text("#!/bin/sh\nexit 7\n")
    assert machine.run("local.sh").returncode == 7


def test_two_at_once_install_once(machine):
    machine.variables["FAKE_PIP_SECONDS"] = "0.5"
    both = [machine.start("local.sh", str(number)) for number in range(2)]
    outputs = {process.communicate(timeout=60)[0] for process in both}
    assert outputs == {"ran: <0>\n", "ran: <1>\n"}
    assert len(machine.installs()) == 1


def test_an_environment_that_was_killed_half_way_is_made_anew(machine):
    machine.variables["FAKE_PIP_SECONDS"] = "30"
    process = machine.start("local.sh", "demo")
    while not machine.installs():
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (machine.venv / "left-over").touch()

    machine.variables["FAKE_PIP_SECONDS"] = "0"
    again = machine.run("local.sh", "demo")
    assert again.stdout == "ran: <demo>\n", again.stderr
    assert not (machine.venv / "left-over").exists()


def test_an_environment_whose_python_is_gone_is_made_anew(machine):
    machine.run("local.sh")
    (machine.venv / "bin" / "python").unlink()
    assert machine.run("local.sh", "demo").stdout == "ran: <demo>\n"
    assert len(machine.installs()) == 2


def test_a_moved_checkout_makes_its_environment_anew(machine):
    machine.run("local.sh")
    machine.checkout.rename(machine.home / "moved")
    machine.folder = "moved"
    moved = machine.run("local.sh", "demo")
    assert moved.stdout == "ran: <demo>\n"
    assert "Removing" in moved.stderr  # its scripts name the folder that it was made in


def test_a_failed_install_says_so_and_is_taken_up_again(machine):
    machine.variables["FAKE_PIP_FAILS"] = "yes"
    failed = machine.run("local.sh", "demo")
    assert failed.returncode == 1
    assert "pip could not install" in failed.stderr
    assert "to fix:" in failed.stderr

    machine.variables["FAKE_PIP_FAILS"] = ""
    again = machine.run("local.sh", "demo")
    assert again.stdout == "ran: <demo>\n"
    assert "Removing" not in again.stderr


def test_an_environment_made_by_hand_is_kept(machine):
    (machine.venv / "bin").mkdir(parents=True)
    (machine.venv / "pyvenv.cfg").touch()
    (machine.venv / "bin" / "python").symlink_to(machine.home / "bin" / "python3.13")
    (machine.venv / "mine").touch()
    assert machine.run("local.sh", "demo").returncode == 0
    assert (machine.venv / "mine").exists()


def test_a_folder_that_is_no_environment_is_left_alone(machine):
    machine.venv.mkdir()
    (machine.venv / "thesis.tex").touch()
    refused = machine.run("local.sh", "demo")
    assert refused.returncode == 1
    assert "stands in the way" in refused.stderr
    assert [path.name for path in machine.venv.iterdir()] == ["thesis.tex"]


def test_an_old_python_is_refused_by_name(machine):
    machine.variables |= {"PYTHON": str(machine.home / "bin" / "python3.13"), "FAKE_VERSION": "3.10"}
    refused = machine.run("local.sh", "demo")
    assert refused.returncode == 1
    assert "expected: Python 3.11 or newer" in refused.stderr
    assert "3.10" in refused.stderr


def test_no_python_at_all_is_explained(machine, fake_script):
    for name in ("python3.13", "python3.12", "python3.11", "python3", "python"):
        fake_script(name, "exit 1")
    refused = machine.run("local.sh", "demo")
    assert refused.returncode == 1
    assert "No suitable Python" in refused.stderr
    assert not machine.venv.exists()


def test_another_python_than_before_makes_the_environment_anew(machine, fake_script):
    machine.run("local.sh")
    (machine.venv / "left-over").touch()
    newer = (machine.home / "bin" / "python3.13").read_text().replace('"$FAKE_VERSION"', "3.12")
    machine.variables["PYTHON"] = str(fake_script("python3.12", newer))
    assert machine.run("local.sh").returncode == 0
    assert not (machine.venv / "left-over").exists()


def test_the_cuda_build_comes_where_a_gpu_answers(machine, fake_script):
    fake_script("nvidia-smi", 'echo "GPU 0: Some Accelerator"')
    machine.run("local.sh")
    assert machine.installs() == [f"{machine.checkout}[cuda]"]


def test_the_accelerator_can_be_named(machine, fake_script):
    fake_script("nvidia-smi", 'echo "GPU 0: Some Accelerator"')
    machine.variables["JAX_MDPO_ACCELERATOR"] = "cpu"
    machine.run("local.sh")
    machine.variables["JAX_MDPO_ACCELERATOR"] = "tpu"
    machine.run("local.sh")
    machine.variables["JAX_MDPO_ACCELERATOR"] = "abacus"
    assert "abacus" in machine.run("local.sh").stderr
    assert machine.installs() == [str(machine.checkout), f"{machine.checkout}[tpu]"]


def test_tests_get_torch_first_and_by_exact_version(machine):
    done = machine.run("test.sh", "-k", "one thing")
    assert done.stdout == "tested: -m pytest -k one thing\n"
    assert machine.installs() == ["torch==2.13.0", f"{machine.checkout}[test]"]


def test_torch_is_left_out_where_its_version_does_not_exist(machine):
    machine.variables["FAKE_VERSION"] = "3.12"
    machine.run("test.sh")
    assert machine.installs() == [f"{machine.checkout}[test]"]


def test_a_later_install_keeps_the_extras_that_are_there(machine):
    machine.run("test.sh")
    with (machine.checkout / "pyproject.toml").open("a") as project:
        project.write("# one more dependency\n")
    machine.run("local.sh")
    assert machine.installs()[-1] == f"{machine.checkout}[test]"
