"""`jax-mdpo`: the entry point. Every verb has its file in verbs/."""

import importlib
import logging
import os
import signal
import sys
import traceback

from jax_mdpo.cli.app import app
from jax_mdpo.core.errors import UserError

CTRL_C = 128 + signal.SIGINT  # the exit status after it, as shells count

# in the order of the help
VERBS = ("train", "reference", "score", "evaluate", "generate", "export", "preview", "inspect", "report", "study", "plan", "demo")
for _verb in VERBS:
    importlib.import_module(f"jax_mdpo.cli.verbs.{_verb}")


def main() -> None:
    """The entry point: a mistake of the user's is a message and exit status 2, a stop by signal its own status."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # that there is no torch is no news: nothing here needs it
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    status, together = _run()
    if not together and _is_one_of_several():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # an orderly exit would wait for the others, and they wait for this one
    sys.exit(status)


def _run() -> tuple[int, bool]:
    """The exit status, and whether all processes of a run end with it together. What went wrong is printed."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2, False
    except SystemExit as ended:  # typer's end of everything
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        if status == CTRL_C:
            print(
                "\nstopped by Ctrl-C: give the same command again (train: with --resume); what was finished and kept is not done twice",
                file=sys.stderr,
            )
        return status, status == 0
    except Exception as error:
        code = getattr(error, "exit_code", None)  # training.signals.Interrupted: all processes stop after the same step
        if code is not None:
            print(error, file=sys.stderr)
            return code, True
        traceback.print_exc()
        return 1, False
    return 0, True


def _is_one_of_several() -> bool:
    jax = sys.modules.get("jax")
    return jax is not None and jax.distributed.is_initialized()
