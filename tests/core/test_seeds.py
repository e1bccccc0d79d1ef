import subprocess
import sys

from jax_mdpo.core.seeds import generator


def draw(*names, seed=0):
    return generator(seed, *names).integers(2**62)


def test_draws_depend_on_seed_and_names_alone():
    assert draw("crop", 7, 0) == draw("crop", 7, 0)
    assert len({draw("crop", 7, 0), draw("crop", 7, 1), draw("crop", 8, 0), draw("crop", 7, 0, seed=1), draw("batches", 7, 0)}) == 5


def test_another_process_draws_the_same():
    code = "from jax_mdpo.core.seeds import generator; print(generator(0, 'crop', 7, 0).integers(2**62))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(printed) == draw("crop", 7, 0)
