"""A bar in a terminal, occasional lines elsewhere, nothing where nothing is to be shown."""

import io
import re
import time

from rich.console import Console

from jax_mdpo.training.progress import Progress

ERASED = "\x1b[1A\x1b[2K"  # up a line, and cleared
VALUES = {"loss": 0.6931471, "rewards/chosen": -0.05, "rewards/margin": -0.25, "pairs_per_second": 12.0, "grad_norm": 1.0}


def output(*, terminal: bool, total: int = 20, start: int = 0, values=VALUES, **options) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=120)
    with Progress(total, start=start, console=console, **options) as progress:
        for step in range(start + 1, total + 1):
            progress.update(step, values)
        progress.note("[a note]")
    return console.file.getvalue()


def test_lines_at_the_first_at_every_nth_and_at_the_last_step():
    lines = output(terminal=False, start=3, total=22, every=10).splitlines()
    assert [line.split("  ")[0] for line in lines] == [*(f"training: step {step}/22" for step in (4, 10, 20, 22)), "[a note]"]
    assert re.fullmatch(r"training: step 4/22  loss 0\.6931  margin -0\.25  chosen -0\.05  pairs/s 12  \d+:\d\d:\d\d left", lines[0])
    assert lines[3].endswith("0:00:00 left")


def test_a_bar_in_a_terminal():
    shown = output(terminal=True)
    for text in ("20/20", "loss 0.6931", "margin -0.25", "pairs/s 12", "0:00:00", "[a note]"):
        assert text in shown
    assert "grad_norm" not in shown


def test_what_a_step_does_not_report_is_not_shown():
    assert "margin" not in output(terminal=False, values={"loss": 1.0})


def test_what_is_passing_goes_away_and_is_no_line_of_a_log():
    assert output(terminal=False, passing=True) == ""
    shown = output(terminal=True, passing=True, label="answering")
    assert "answering" in shown and "20/20" in shown
    assert "[a note]" not in shown
    assert shown.endswith(ERASED)


def test_a_part_s_bar_stands_below_that_of_the_whole():
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    with Progress(3, console=console) as whole:
        whole.update(1)
        with Progress(None, passing=True, label="answering", console=console) as part:
            part.expect(7)
            part.update(4)
            assert drawn(console, "4/7")[-2:] == ["1/3", "4/7"]
        whole.update(2)
        assert drawn(console, "2/3")[-1] == "2/3"


def drawn(console: Console, awaited: str) -> list[str]:
    """The counts of the bars that were drawn, in order, once `awaited` is one of them."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = re.findall(r"\d/\d", console.file.getvalue())
        if awaited in found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{awaited} was not drawn: {console.file.getvalue()!r}")


def test_other_processes_show_nothing():
    assert output(terminal=False, shown=False) == output(terminal=True, shown=False) == ""
