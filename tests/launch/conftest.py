"""A checkout with the real launch scripts, on a machine whose Python is a stand-in that writes down what pip was asked for."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

# `-S -c` asks for the version (FAKE_VERSION); -m venv copies the stand-in; pip writes its arguments to FAKE_LOG and makes the program.
FAKE_PYTHON = f"""#!/bin/bash
case "$*" in
  *"print("*) echo "$FAKE_VERSION" ;;
  *version_info*) [[ "$FAKE_VERSION" != 3.10 ]] ;;
  "-c import ensurepip") ;;
  "-m venv"*)
    mkdir -p "${{@: -1}}/bin" && cp "$0" "${{@: -1}}/bin/python" && touch "${{@: -1}}/pyvenv.cfg" ;;
  "-m pip install"*)
    echo "$@" >>"$FAKE_LOG"
    sleep "${{FAKE_PIP_SECONDS:-0}}"
    [[ -z "$FAKE_PIP_FAILS" ]] || exit 1
    printf '#!/bin/bash\\nprintf "ran:"; printf " <%%s>" "$@"; echo\\n' >"$(dirname "$0")/jax-mdpo"
    chmod +x "$(dirname "$0")/jax-mdpo" ;;
  "-m pip"* | "-m ensurepip") ;;
  "-m pytest"*) echo "tested: $*" ;;
  *) exec {sys.executable} "$@" ;;
esac
"""


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@dataclass
class Machine:
    """A home with a checkout and a bin folder at the front of PATH."""

    home: Path
    folder: str = "checkout"
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def checkout(self) -> Path:
        return self.home / self.folder

    @property
    def venv(self) -> Path:
        return self.checkout / ".venv"

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "JAX_MDPO_VENV", "JAX_MDPO_ACCELERATOR")}
        fake = {
            "FAKE_LOG": str(self.home / "pip.log"),
            "FAKE_VERSION": "3.11",
            "HOME": str(self.home),
            "PATH": f"{self.home}/bin:{kept['PATH']}",
        }
        return kept | fake | self.variables

    def start(self, script: str, *arguments: str) -> subprocess.Popen[str]:
        command = ["bash", str(self.checkout / "launch" / script), *arguments]
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=self.environment, cwd=self.home, text=True, start_new_session=True, **streams)

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        process = self.start(script, *arguments)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def installs(self) -> list[str]:
        """What pip was asked to install, call by call, without its own options."""
        log = self.home / "pip.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [" ".join(word for word in line.split()[3:] if not word.startswith("--")) for line in lines]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    shutil.copytree(REPOSITORY / "launch", made.checkout / "launch")
    (made.checkout / "configs").mkdir()
    (made.checkout / "configs" / "pod.yaml").write_text("seed: 0\n")
    (made.checkout / "pyproject.toml").write_text('[project.optional-dependencies]\ntest = ["torch==2.13.0; python_version < 3.12"]\n')
    write_script(tmp_path / "bin" / "python3.13", FAKE_PYTHON)
    write_script(tmp_path / "bin" / "nvidia-smi", "#!/bin/sh\nexit 9\n")
    return made


@pytest.fixture
def fake_script(machine: Machine):
    """Puts a shell script on the machine's PATH under a name, in front of what has that name."""

    def put(name: str, body: str) -> Path:
        path = machine.home / "bin" / name
        write_script(path, body if body.startswith("#!") else f"#!/bin/bash\n{body}\n")
        return path

    return put
