"""Pages to look at: answers with drawn values, and UE-DPO's weights of their tokens by the program's own code."""

import jax.numpy as jnp
import numpy as np
from PIL import Image

from jax_mdpo.core.tokens import Tokens
from jax_mdpo.core.views import CHOSEN, CLEAN, NOISED, REJECTED, View
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.term import Views
from jax_mdpo.objectives.uncertainty import Uncertainty
from jax_mdpo.report.inspection import AnswerTokens, Inspection, Shown

PIECES = {
    CHOSEN: ("A", " red", " cat", "", "漢", "\n", " <b>on</b>", " &amp;", " </script>", "<!--", " 'a'", ' "table"', " .", "</s>"),
    REJECTED: ("Two", " green", " dogs", " ☂", " under", " it", " .", "</s>"),
}
BETA = 0.2


def drawn(seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """By response and quantity, with a tie among the sensitivities."""
    rng = np.random.default_rng(seed)
    found = {}
    for response, pieces in PIECES.items():
        count = len(pieces)
        sensitivity = rng.normal(0, 2, count).astype(np.float32)
        sensitivity[2] = sensitivity[1]
        logp, ratio = (-rng.exponential(2, count)).astype(np.float32), rng.normal(0, 1, count).astype(np.float32)
        found[response] = {
            "log_ratio": ratio,
            "preference": rng.normal(0.5, 1, count).astype(np.float32),
            "logp": logp,
            "drop": rng.normal(0.5, 1, count).astype(np.float32),
            "sensitivity": sensitivity,
            "uncertainty": rng.normal(0, 3, count).astype(np.float32),
        }
    return found


def views(values: dict[str, dict[str, np.ndarray]]) -> Views:
    """The same as a step evaluates it."""
    tokens = {}
    for response, of in ((name, {key: jnp.asarray(one)[None] for key, one in values[name].items()}) for name in values):
        scored = jnp.ones_like(of["logp"], bool)
        clean, nothing = View(CLEAN, response), jnp.zeros_like(of["logp"])
        tokens["policy", clean] = Tokens(of["logp"], scored, nothing, guesses={NOISED: of["uncertainty"]})
        tokens["policy", clean._replace(image=NOISED)] = Tokens(nothing, scored, -of["sensitivity"])
        tokens["reference", clean] = Tokens(of["logp"] - of["log_ratio"], scored)
    return Views(tokens)


def weights(values: dict[str, dict[str, np.ndarray]], weighting: Uncertainty) -> dict[str, np.ndarray]:
    """λ of each response's tokens."""
    read = views(values)
    return {name: np.asarray(weighting(read, View(CLEAN, name), preferred=name == CHOSEN).values[0]) for name in values}


def loss(values: dict[str, dict[str, np.ndarray]], weighting: Uncertainty | None) -> float:
    """DPO's, with or without token weights."""
    return float(DPO(beta=BETA, weights=weighting)(views(values)).loss[0])


def make_page(values: dict[str, dict[str, np.ndarray]], weighting: Uncertainty, **changes) -> Inspection:
    """A page with an adapter, three images, and texts that want escaping."""
    of = weights(values, weighting)
    ramp = np.linspace(0, 255, 56 * 56 * 3).reshape(56, 56, 3).astype(np.uint8)
    images = {"image": ramp, "hard negative": ramp[::-1], "noised image": ramp.transpose(1, 0, 2)}
    answers = {
        name: AnswerTokens(
            name,
            PIECES[name],
            {key: one.astype(float).tolist() for key, one in {**values[name], "weight": of[name]}.items()},
            tuple(f"<i>{place}" for place in range(len(PIECES[name]))),
        )
        for name in values
    }
    fields = {
        "id": "pair <1> & 'two'",
        "model": "models/<tiny>",
        "adapter": 'runs/"mine"/adapter',
        "prompt": "<s> USER: <image>\nWhat </script> is it? ASSISTANT:",
        "images": tuple(
            Shown(label, Image.fromarray(pixels), "crop", "area 0.01–0.2", (7, 14, 35, 42) if label == "hard negative" else None)
            for label, pixels in images.items()
        ),
        "chosen": answers[CHOSEN],
        "rejected": answers[REJECTED],
        "losses": {"dpo": loss(values, None), "anchored": 0.5, "conditional": 0.25, "ue_dpo": loss(values, weighting)},
        "alpha": weighting.alpha,
        "tau": weighting.tau,
        "beta": BETA,
    }
    return Inspection(**{**fields, **changes})
