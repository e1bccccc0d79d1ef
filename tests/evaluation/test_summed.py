"""Bootstrap samples from sums of sums are those of the benchmark's own report, whatever its sums are named after."""

import numpy as np
import pytest

from jax_mdpo.evaluation.benchmarks.pairs import Pairs
from jax_mdpo.evaluation.benchmarks.pope import SPLITS, Pope
from jax_mdpo.evaluation.benchmarks.protocol import Item, Question, Summing
from jax_mdpo.evaluation.bootstrap import by_key, draws, sampled, summed
from jax_mdpo.scenes.benchmark import SceneCaptions

COUNT, IMAGES = 60, 25  # items share images
RNG = np.random.default_rng(0)


def items(part, reading):
    return [Item(Question(id, "?", f"{id % IMAGES}.jpg", part(id)), "", reading(id)) for id in range(COUNT)]


def said(_):
    answer, truth = map(str, RNG.choice(["yes", "no"], 2))
    return {"said": answer, "truth": truth, "correct": answer == truth}


def judged(id, *, adapted, pictured):
    def one():
        logps = {"logp": RNG.normal(size=2).tolist(), "tokens": [3, 4]}
        return logps | ({"reference": RNG.normal(size=2).tolist()} if adapted(id) else {})

    return {image: one() for image in (("true", "blank", "other") if pictured(id) else ("true",))}


def described(_):
    names = [["lamp", "lamp"], ["cup", "cup"], ["cup", "cup"]]
    hallucinated, correct = (names[: RNG.integers(4)] for _ in range(2))
    present = ["cup", "nest"][: RNG.integers(1, 3)]
    return {"hallucinated": hallucinated, "correct": correct, "present": present, "malformed": bool(RNG.random() < 0.2), "words": 7}


def always(_):
    return True


def every_third(id):
    return id % 3 == 0


CASES = {
    "pope": (Pope(), items(lambda id: SPLITS[id % 3], said)),
    "pope, a split that a sample may lack": (Pope(), items(lambda id: SPLITS[int(id % IMAGES == 0)], said)),
    "pairs": (Pairs(), items(lambda _: "pairs", lambda id: judged(id, adapted=always, pictured=always))),
    "pairs, some without images": (Pairs(), items(lambda _: "pairs", lambda id: judged(id, adapted=always, pictured=every_third))),
    "pairs, some without a reference": (Pairs(), items(lambda _: "pairs", lambda id: judged(id, adapted=every_third, pictured=always))),
    "captions": (SceneCaptions(), items(lambda id: ("kept", "broken")[id % 2], described)),
    "captions of one part": (SceneCaptions(), items(lambda _: "kept", described)),
}


@pytest.mark.parametrize("name", CASES)
def test_they_are_the_samples_of_the_report(name):
    benchmark, several = CASES[name]
    assert isinstance(benchmark, Summing)
    answered = by_key(several)
    drawn = draws(answered, 40, 0)
    steps = []
    quick = summed(benchmark, [answered, answered], drawn, lambda: steps.append(None))
    slow = sampled(benchmark.report, [answered, answered], drawn)
    assert quick.keys() == slow.keys() and len(quick) > 2
    for figure, values in slow.items():
        np.testing.assert_allclose(quick[figure], values, rtol=1e-9, atol=1e-9)
    assert len(steps) == 2 * 40
