"""Prompts of ours and of the user."""

import pytest

from jax_mdpo.core.errors import UserError
from jax_mdpo.evaluation.benchmarks import mmhal, object_extraction
from jax_mdpo.evaluation.benchmarks.prompting import OURS, prompt

FIELDS = ("question", "answer")


@pytest.fixture
def of(tmp_path):
    """A prompt file's text → the prompt."""

    def write(text: str, name: str = "mine.txt"):
        (tmp_path / name).write_text(text)
        return prompt(tmp_path / name, ours="object_halbench", fields=FIELDS)

    return write


@pytest.mark.parametrize("text", ["Q {question} A {answer}.", "Q {} A {}."])
def test_places_by_name_and_by_order(of, text):
    assert of(text).filled({"question": "what?", "answer": "a dog"}) == "Q what? A a dog."


def test_braces_within_an_answer_and_around_other_words_mean_nothing(of):
    filled = of('{question} {answer} {"json"}').filled({"question": "{answer} {}", "answer": "{question}"})
    assert filled == '{answer} {} {question} {"json"}'


def test_a_tools_own_file_gives_its_text(of):
    source = 'import sys\nsys.exit("run")\nname = "judge"\ntemplate = """Q {}\nA {}"""\n'
    mine = of(source, "eval_tool.py")
    assert mine.filled({"question": "what?", "answer": "a dog"}) == "Q what?\nA a dog"
    assert mine.name.startswith("eval_tool.py, sha256 ")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("no places", "a.txt"),
        ("{question}", "a.txt"),
        ("{}", "a.txt"),
        ("{} {} {}", "a.txt"),
        ("{question} {}", "a.txt"),
        ("a = '{} {}'\nb = '{answer} {question}'", "a.py"),
        ("a = (", "a.py"),
    ],
)
def test_a_file_that_is_no_prompt_is_refused(of, text, name):
    with pytest.raises(UserError, match=name):
        of(text, name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.txt"):
        prompt(tmp_path / "absent.txt", ours="mmhal", fields=FIELDS)


@pytest.mark.parametrize(("name", "fields"), [("mmhal", mmhal.PLACES), ("object_halbench", object_extraction.PLACES)])
def test_our_prompts_have_a_place_for_everything(name, fields):
    ours = prompt(None, ours=name, fields=fields)
    filled = ours.filled({field: f"<{field}>" for field in fields})
    assert all(filled.count(f"<{field}>") == 1 for field in fields)
    assert ours.name == OURS
