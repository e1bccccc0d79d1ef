"""Questions about a scene, the right answer, and a wrong one that names something which is not there."""

from collections.abc import Sequence

import numpy as np

from jax_mdpo.demo.scenes import COLOURS, SHAPES, Scene, Thing

QUESTIONS = ("What is in the picture?", "What do you see?", "Describe the picture.", "Which shapes are there?")


def describe(things: Sequence[Thing]) -> str:
    """ "There is a red circle and a blue star." """
    return "There is " + " and ".join(f"a {thing}" for thing in things) + "."


def hallucinate(scene: Scene, rng: np.random.Generator) -> tuple[Thing, ...]:
    """The scene's things, one of them in a colour or shape that no thing of the scene has.

    The other name is drawn evenly, so that over a world wrong answers look just as right ones do: the picture alone tells them apart.
    """
    things = list(scene.things)
    i = int(rng.integers(len(things)))
    if rng.random() < 0.5:
        absent = [colour for colour in COLOURS if colour not in {thing.colour for thing in things}]
        things[i] = Thing(str(rng.choice(absent)), things[i].shape)
    else:
        absent = [shape for shape in SHAPES if shape not in {thing.shape for thing in things}]
        things[i] = Thing(things[i].colour, str(rng.choice(absent)))
    return tuple(things)


def ask(rng: np.random.Generator) -> str:
    """One of the questions."""
    return QUESTIONS[int(rng.integers(len(QUESTIONS)))]


def all_texts() -> list[str]:
    """Every question and every answer about one thing: what the tokenizer learns its words from."""
    return [*QUESTIONS, *(describe([Thing(colour, shape), Thing(colour, shape)]) for colour in COLOURS for shape in SHAPES)]
