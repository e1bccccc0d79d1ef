import pickle

from jax_mdpo.core.errors import RecordError, nearest


def test_the_message_has_a_line_for_each_part():
    error = RecordError("record 3: no image", expected="a JPEG", got="nothing", fix="copy it")
    assert str(error).splitlines() == ["record 3: no image", "  expected: a JPEG", "  got: nothing", "  to fix: copy it"]


def test_errors_survive_the_way_between_processes():
    error = pickle.loads(pickle.dumps(RecordError("record 3: no image", fix="copy it")))
    assert type(error) is RecordError and str(error) == "record 3: no image\n  to fix: copy it"


def test_nearest_names_the_close_one_or_all():
    assert nearest("learning_rte", ["learning_rate", "betas"]) == "did you mean 'learning_rate'?"
    assert nearest("zzz", ["b", "a"]) == "choose one of: a, b"


def test_nearest_does_not_name_thousands():
    assert nearest("zzz", [f"id-{number:04}" for number in range(1040)]).endswith("id-0039, … and 1000 more")
