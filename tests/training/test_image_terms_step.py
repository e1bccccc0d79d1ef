"""The terms that compare images, on a tiny LLaVA, against plain torch: every loss, and the gradient of their sum."""

import json

import jax
import jax.numpy as jnp
import needs_torch  # noqa: F401
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mdpo_world import make_world
from PIL import Image
from quick_compiling import QUICKLY
from tiny_llava import IMAGE_TOKEN, tiny_llava

from jax_mdpo.core.views import CHOSEN, CLEAN, CONTRAST, NEGATIVE, NOISED, NONE, REJECTED, RESPONSES, View
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.encode import Sequence
from jax_mdpo.data.hard_negatives import Black, RejectedImage
from jax_mdpo.data.rewording import reworded
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.data.variants import Variants
from jax_mdpo.lora.attach import factors_of
from jax_mdpo.models.actors import make_actors
from jax_mdpo.objectives.changed import Changed
from jax_mdpo.objectives.chip import CHiP
from jax_mdpo.objectives.margin_consistency import MarginConsistency
from jax_mdpo.objectives.preference import Preference
from jax_mdpo.objectives.tpo import TPO
from jax_mdpo.objectives.v_dpo import VDPO
from jax_mdpo.recipe.adapters import stored_adapter
from jax_mdpo.recipe.loading import load
from jax_mdpo.training.step import Loss

PAIRS = 2
# Compiling is most of the time.
QUICK = {"xla_backend_optimization_level": 0, **({"xla_cpu_use_fusion_emitters": False} if QUICKLY else {})}
TERMS = (
    Preference(preferred=(CLEAN, CHOSEN), other=(NONE, CHOSEN)),
    Preference(preferred=(NONE, REJECTED), other=(CLEAN, REJECTED)),
    Preference(preferred=(NEGATIVE, CONTRAST), other=(NEGATIVE, CHOSEN)),
    MarginConsistency(weight=1e-2),
    CHiP(weights=Changed(extra=3.0), token=0.5),
    TPO(),
    VDPO(gamma=0.5),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = make_world(tmp_path_factory.mktemp("world"), pairs=PAIRS)
    answers = ["no one .", "there are two dogs on the table ."]
    for record, answer in zip(world.records, answers, strict=True):
        record["contrast"] = answer
    lines = [json.dumps(record, default=str) + "\n" for record in world.records]
    world.data.write_text("".join(lines), encoding="utf-8")
    return world


@pytest.fixture(scope="module")
def ours(world):
    """Losses by term, and the gradient of their weighted sum by module."""
    checkpoint = load(world.folder)
    data = PairDataset.open(DataSettings(path=str(world.data)), checkpoint.processor, (*RESPONSES, CONTRAST))
    variants = Variants((CLEAN, NEGATIVE, NOISED), {NEGATIVE: RejectedImage(), NOISED: Black()})
    (host,) = data.batches(data.ordered_batches(batch_size=PAIRS), variants=variants, changed=True)
    adapter = stored_adapter(world.adapter, checkpoint)
    actors, frozen, lora = make_actors(checkpoint, adapter)
    loss = Loss(actors, TERMS, chunk=4)
    with checkpoint.scope():
        arguments = (lora, frozen, jax.tree.map(jnp.asarray, host.batch), jnp.float32(PAIRS))
        compiled = jax.jit(jax.value_and_grad(loss, has_aux=True)).lower(*arguments).compile(compiler_options=QUICK)
        (_, metrics), gradient = compiled(*arguments)
    return metrics, factors_of(actors.as_state(gradient), checkpoint.modules, adapter.targets)


class Record:
    """One record read by two torch models: everything of a view's response tokens, the end included."""

    def __init__(self, world, reference: torch.nn.Module, record: dict):
        self.models = {"policy": world.policy, "reference": reference}
        self.reader, self.record = world.reader, record
        self.logits: dict[tuple[str, View], torch.Tensor] = {}

    def targets(self, response: str) -> list[int]:
        return self.reader.sequence(self.record["prompt"], self.record[response])[1]

    def read(self, model: str, view: View) -> torch.Tensor:
        """Logits at the response's positions, [T, V]."""
        if (model, view) not in self.logits:
            prompt, answer = self.reader.sequence(self.record["prompt"], self.record[view.response])
            if view.image == NONE:
                prompt = [token for token in prompt if token != IMAGE_TOKEN]
            with torch.set_grad_enabled(model == "policy"):
                found = self.models[model](input_ids=torch.tensor([[*prompt, *answer]]), pixel_values=self.pixels(view.image))
            self.logits[model, view] = found.logits[0, len(prompt) - 1 : -1].float()
        return self.logits[model, view]

    def pixels(self, image: str) -> torch.Tensor | None:
        if image == NOISED:
            black = Image.new("RGB", (28, 28))
            return torch.tensor(self.reader.images(images=black, return_tensors="np")["pixel_values"])
        return None if image == NONE else self.reader.pixels(self.record["image" if image == CLEAN else "rejected_image"])

    def picked(self, values: torch.Tensor, view: View) -> torch.Tensor:
        return values.gather(1, torch.tensor(self.targets(view.response))[:, None])[:, 0]

    def logps(self, model: str, view: View) -> torch.Tensor:
        return self.picked(F.log_softmax(self.read(model, view), dim=-1), view)

    def ratio(self, image: str, response: str, weights: torch.Tensor | float = 1.0) -> torch.Tensor:
        view = View(image, response)
        return (weights * (self.logps("policy", view) - self.logps("reference", view))).sum()

    def divergence(self, response: str) -> torch.Tensor:
        ours, theirs = (F.log_softmax(self.read(model, View(CLEAN, response)), dim=-1) for model in ("policy", "reference"))
        return (theirs.exp() * (theirs - ours)).sum()

    def factor(self, model: str, response: str, sign: int) -> torch.Tensor:
        clear, noised = (self.picked(self.read(model, View(image, response)), View(image, response)) for image in (CLEAN, NOISED))
        return torch.log(0.5 + torch.sigmoid(sign * (clear - noised))).sum()

    def changed(self) -> dict[str, torch.Tensor]:
        """1 + 3 where a token is reworded; the alignment itself is tested by hand in tests/data/test_rewording.py."""
        sequences = []
        for response in RESPONSES:
            prompt, answer = self.reader.tokenizer(self.record["prompt"]).input_ids, self.targets(response)
            sequences.append(Sequence([*prompt, *answer], len(prompt)))
        return {name: 1 + 3 * torch.tensor(marks).float() for name, marks in zip(RESPONSES, reworded(*sequences), strict=True)}

    def losses(self) -> dict[str, torch.Tensor]:
        ratio, weights = self.ratio, self.changed()
        weighted = {name: ratio(CLEAN, name, weights[name]) for name in RESPONSES}
        divergence = self.divergence(REJECTED) - self.divergence(CHOSEN).detach()
        joint = 2 * weighted[CHOSEN] - weighted[REJECTED] - ratio(NEGATIVE, CHOSEN, weights[CHOSEN]) - 0.5 * divergence
        corrected = {
            name: ratio(CLEAN, name) + self.factor("policy", name, sign) - self.factor("reference", name, sign)
            for name, sign in ((CHOSEN, 1), (REJECTED, -1))
        }
        gain = {name: self.logps("policy", View(CLEAN, name)).sum() - self.logps("policy", View(NONE, name)).sum() for name in RESPONSES}
        contrasted = {name: ratio(CLEAN, name) - 0.5 * gain[name].detach() for name in RESPONSES}
        margins = ratio(CLEAN, CHOSEN) - ratio(CLEAN, CONTRAST), ratio(NEGATIVE, CONTRAST) - ratio(NEGATIVE, CHOSEN)
        return {
            "chosen_over_none": -F.logsigmoid(0.1 * (ratio(CLEAN, CHOSEN) - ratio(NONE, CHOSEN))),
            "none_rejected_over_rejected": -F.logsigmoid(0.1 * (ratio(NONE, REJECTED) - ratio(CLEAN, REJECTED))),
            "negative_contrast_over_negative": -F.logsigmoid(0.1 * margins[1]),
            "margin_consistency": (margins[0] - margins[1]) ** 2,
            "chip": -F.logsigmoid(0.1 * joint),
            "tpo": -F.logsigmoid(0.1 * (corrected[CHOSEN] - corrected[REJECTED])),
            "v_dpo": -F.logsigmoid(0.1 * (contrasted[CHOSEN] - contrasted[REJECTED])),
        }


@pytest.fixture(scope="module")
def theirs(world):
    """The mean losses by term; the gradient of their weighted sum stands in the policy's parameters."""
    for name, parameter in world.policy.named_parameters():
        parameter.requires_grad_("lora_" in name)
    reference = tiny_llava(scale=0.15)
    found = [Record(world, reference, record).losses() for record in world.records]
    means = {label: torch.stack([losses[label] for losses in found]).mean() for label in found[0]}
    sum(term.weight * means[term.label] for term in TERMS).backward()
    return {label: value.item() for label, value in means.items()}


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.label)
def test_losses_equal_torch(ours, theirs, term):
    assert float(ours[0][f"loss/{term.label}"]) == pytest.approx(theirs[term.label], abs=1e-4, rel=1e-4)
    assert abs(theirs[term.label] - np.log(2)) > 2e-3, "the adapter must move the loss, far beyond the tolerance"


def test_the_gradient_equals_torch_autograd(world, ours, theirs):
    lora = {name: parameter for name, parameter in world.policy.named_parameters() if "lora_" in name}
    assert len(lora) == 2 * len(ours[1])
    for name, parameter in lora.items():
        module, _, half = name.removeprefix("base_model.model.").rpartition(".lora_")
        mine, expected = ours[1][module][0 if half.startswith("A") else 1], parameter.grad.numpy()
        assert mine.shape == expected.shape
        assert np.linalg.norm(mine - expected) <= 1e-4 * np.linalg.norm(expected), name
