import pytest

from jax_mdpo.core.config import config, validate
from jax_mdpo.core.errors import ConfigError


@config
class Inner:
    rate: float = 0.1
    sizes: tuple[int, int] = (1, 2)


@config
class Outer:
    name: str
    inner: Inner = Inner()
    count: int | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ValueError("count must be at least 1")


def fault(values) -> str:
    with pytest.raises(ConfigError) as caught:
        validate(Outer, values, where="file.yaml")
    return str(caught.value)


def test_values_and_defaults_are_read():
    made = validate(Outer, {"name": "a", "inner": {"sizes": [3, 4]}}, where="file.yaml")
    assert made == Outer(name="a", inner=Inner(rate=0.1, sizes=(3, 4)))


def test_a_number_written_as_text_is_a_number():
    assert validate(Outer, {"name": "a", "inner": {"rate": "1e-5"}}, where="x").inner.rate == 1e-5


def test_an_unknown_key_suggests_the_nearest():
    assert "unknown key 'inner.rat': did you mean 'rate'?" in fault({"name": "a", "inner": {"rat": 1}})
    assert "unknown key 'nam': did you mean 'name'?" in fault({"name": "a", "nam": 1})


def test_a_wrong_type_names_the_key_and_the_value():
    message = fault({"name": "a", "count": "many"})
    assert "'count'" in message and "'many'" in message


def test_a_missing_key_says_what_is_expected():
    assert "'name' is missing: expected str" in fault({})


def test_own_checks_speak():
    assert "count must be at least 1" in fault({"name": "a", "count": 0})


def test_all_faults_come_at_once():
    message = fault({"nam": 1, "inner": {"rate": "fast"}})
    assert "file.yaml has 3 faults" in message


def test_settings_are_frozen():
    with pytest.raises(AttributeError):
        Inner().rate = 2
