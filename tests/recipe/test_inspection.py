"""The page of `inspect`: its numbers are those of a training step's own code, and every kind of pair has one."""

import json
import re
from dataclasses import replace

import jax
import numpy as np
import pytest
from end_to_end.world import PROMPT, write_checkpoint, write_config, write_pairs
from typer.testing import CliRunner

from jax_mdpo.cli.main import app
from jax_mdpo.core.errors import ConfigError, RecordError, UserError
from jax_mdpo.core.views import CHOSEN, CLEAN, NEGATIVE, NOISED, REJECTED, View
from jax_mdpo.corruptions import Noise
from jax_mdpo.data.dataset import PairDataset
from jax_mdpo.data.hard_negatives import Crop
from jax_mdpo.data.settings import DataSettings
from jax_mdpo.lora.peft_files import write_adapter
from jax_mdpo.lora.settings import LoRASettings
from jax_mdpo.models.actors import make_actors
from jax_mdpo.models.plan import plan
from jax_mdpo.models.views import evaluate
from jax_mdpo.objectives.conditional import Conditional
from jax_mdpo.objectives.dpo import DPO
from jax_mdpo.objectives.term import Views
from jax_mdpo.objectives.uncertainty import Uncertainty
from jax_mdpo.recipe.adapters import fresh_adapter, stored_adapter
from jax_mdpo.recipe.inspection import InspectionSettings, inspect, pieces
from jax_mdpo.recipe.loading import load

ASKED = ("hard_negative.area=[0.2, 0.5]", "noise.step=300", "weights.tau=0.5", "beta=0.2", "seed=4", "epoch=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """model/, data/ with six pairs, one without an image and one whose image is missing, and adapter/."""
    folder = tmp_path_factory.mktemp("inspected")
    write_checkpoint(folder / "model")
    pairs = write_pairs(folder / "data", 6)
    bare = {"id": "bare", "image": None, "prompt": PROMPT.replace("<image>\n", ""), "chosen": "a cat .", "rejected": "two dogs ."}
    lost = {"id": "lost", "image": "nowhere.jpg", "prompt": PROMPT, "chosen": "a cat .", "rejected": "two dogs ."}
    with pairs.open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in (bare, lost))
    return folder


@pytest.fixture(scope="module")
def checkpoint(folder):
    return load(folder / "model")


@pytest.fixture(scope="module")
def adapter(folder, checkpoint):
    fresh = fresh_adapter(LoRASettings(r=3, lora_alpha=24), checkpoint, seed=1)
    rng = np.random.default_rng(2)
    factors = {name: (a, 0.3 * rng.standard_normal(b.shape, np.float32)) for name, (a, b) in fresh.factors.items()}
    write_adapter(folder / "adapter", factors=factors, targets=fresh.targets, base_model=str(folder / "model"))
    return folder / "adapter"


def numbers(page) -> dict:
    """What the page's program works with."""
    found = re.search(r'<script type="application/json" id="numbers">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    return json.loads(found[1])


def values(page, answer: int) -> dict[str, np.ndarray]:
    return {key: np.array(of_tokens) for key, of_tokens in numbers(page)["answers"][answer]["values"].items()}


@pytest.fixture(scope="module")
def page(folder, checkpoint, adapter):
    """As the command line makes it."""
    paths = [str(path) for path in (folder / "model", folder / "data" / "pairs.jsonl")]
    options = ["--id", "pair-2", "--adapter", str(adapter), "--out", str(folder / "page.html")]
    ended = CliRunner().invoke(app, ["inspect", *paths, *ASKED, *options])
    assert ended.exit_code == 0, ended.output
    return folder / "page.html"


@pytest.fixture(scope="module")
def evaluated(folder, checkpoint, adapter):
    """The pair as a training step evaluates it, by view and by model, UE-DPO's weights by response, and the batch."""
    settings = InspectionSettings(
        hard_negative=Crop(area=(0.2, 0.5)), noise=Noise(step=300), weights=Uncertainty(tau=0.5), beta=0.2, seed=4, epoch=2
    )
    assert InspectionSettings.read(None, ASKED) == settings
    data = PairDataset.open(DataSettings(path=str(folder / "data" / "pairs.jsonl"), on_bad_record="skip"), checkpoint.processor)
    place = [record.id for record in data.records].index("pair-2")
    (batch_plan,) = data.ordered_batches(batch_size=1, records=[place])
    (host,) = data.batches([batch_plan._replace(epoch=2)], variants=settings.variants())
    rejected = Conditional().needs()
    run = plan(
        [
            *DPO(weights=settings.weights).needs(),
            *Conditional().needs(),
            *(need._replace(view=need.view._replace(response=REJECTED)) for need in rejected),
        ]
    )
    actors, frozen, lora = make_actors(checkpoint, stored_adapter(adapter, checkpoint))

    def tokens(frozen, lora, batch):
        select = actors.select(frozen, lora)
        return evaluate(run, batch, select, shared_tower=actors.shared_tower, chunk=8, corruptions={NOISED: {1: settings.noise}})

    with checkpoint.scope():
        found = jax.jit(tokens)(frozen, lora, host.batch)
    weights = {name: settings.weights(Views(found), View(CLEAN, name), preferred=name == CHOSEN).values for name in (CHOSEN, REJECTED)}
    return jax.device_get(found), jax.device_get(weights), host.batch


def test_the_numbers_of_each_token_are_those_of_a_step(page, evaluated, checkpoint):
    found, weights, batch = evaluated
    for answer, name in enumerate((CHOSEN, REJECTED)):
        (clean, negative, noised), (base, base_negative) = (
            [found[model, View(image, name)] for image in images]
            for model, images in (("policy", (CLEAN, NEGATIVE, NOISED)), ("reference", (CLEAN, NEGATIVE)))
        )
        scored = clean.scored[0]
        expected = {
            "logp": clean.logps,
            "log_ratio": clean.logps - base.logps,
            "drop": clean.logps - negative.logps,
            "preference": (clean.logps - base.logps) - (negative.logps - base_negative.logps),
            "sensitivity": clean.logits - noised.logits,
            "uncertainty": clean.guesses[NOISED] - clean.logits,
            "weight": weights[name],
        }
        shown = values(page, answer)
        assert shown.keys() == expected.keys()
        for key, of_tokens in expected.items():
            np.testing.assert_allclose(shown[key], of_tokens[0][scored], atol=2e-5, err_msg=key)
            assert np.abs(shown[key]).max() > 1e-3, f"{key} must not be idle"
        likeliest = noised.likeliest[0][scored]
        assert numbers(page)["answers"][answer]["guesses"] == [checkpoint.processor.decode([int(id)]) for id in likeliest]
        same = likeliest == batch.branches[name].targets[0][scored]
        assert (shown["uncertainty"][same] == 0).all() and (shown["uncertainty"][~same] != 0).all()


def test_the_table_of_rewards_and_losses_is_the_sum_of_the_tokens(page):
    chosen, rejected = values(page, 0), values(page, 1)
    text = page.read_text(encoding="utf-8")
    margins = {
        "dpo": 0.2 * (chosen["log_ratio"].sum() - rejected["log_ratio"].sum()),
        "conditional": 0.2 * chosen["preference"].sum(),
        "anchored": 0.2 * chosen["log_ratio"].sum(),
        "ue_dpo": 0.2
        * sum(sign * ((one["weight"] - 1) * one["logp"] + one["log_ratio"]).sum() for sign, one in ((1, chosen), (-1, rejected))),
    }
    for term, margin in margins.items():
        row = re.search(rf'data-term="{term}">.*?margin">(.*?)</td>.*?loss">(.*?)</td>', text)
        shown = [float(number.replace("−", "-")) for number in row.groups()]
        assert shown == pytest.approx([margin, np.log1p(np.exp(-margin))], abs=2e-4)  # four decimals, of float32 sums


def test_each_token_s_text_stands_on_the_page_and_together_they_are_the_answer(page, checkpoint, folder):
    text = page.read_text(encoding="utf-8")
    data = PairDataset.open(DataSettings(path=str(folder / "data" / "pairs.jsonl"), on_bad_record="skip"), checkpoint.processor)
    seen = data.pair(2)
    for name in (CHOSEN, REJECTED):
        answer = re.search(rf'<section class="answer {name}".*?</section>', text, re.DOTALL)[0]
        shown = re.findall(r'<span class="token"[^>]*>(.*?)</span>', answer, re.DOTALL)
        assert "".join(shown) == getattr(seen, name).replace("<", "&lt;").replace(">", "&gt;")


def test_without_an_adapter_the_model_is_shown_alone(folder, checkpoint, tmp_path):
    inspect(checkpoint, folder / "data" / "pairs.jsonl", "pair-1", out=tmp_path / "page.html")
    assert set(values(tmp_path / "page.html", 0)) == {"logp", "drop", "sensitivity", "uncertainty", "weight"}
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "no adapter" in text and "rewards" not in text and "hard negative" in text


def test_a_pair_without_an_image_is_shown_with_what_there_is(folder, checkpoint, adapter, tmp_path):
    inspect(checkpoint, folder / "data" / "pairs.jsonl", "bare", adapter=adapter, out=tmp_path / "page.html")
    assert set(values(tmp_path / "page.html", 0)) == {"logp", "log_ratio"}
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "This pair has no image." in text and "<img" not in text and 'id="alpha"' not in text


def test_an_unknown_id_and_a_bad_record_are_refused(folder, checkpoint, tmp_path):
    pairs = folder / "data" / "pairs.jsonl"
    with pytest.raises(UserError, match=r"has no record 'pair-21'(?s:.*)did you mean 'pair-[12]'"):
        inspect(checkpoint, pairs, "pair-21", out=tmp_path / "page.html")
    with pytest.raises(RecordError, match=r"'lost' cannot be used(?s:.*)nowhere.jpg"):
        inspect(checkpoint, pairs, "lost", out=tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_settings_come_from_a_run_and_overrides_go_over_them(folder, tmp_path):
    config = write_config(
        tmp_path / "run.yaml",
        folder / "model",
        folder / "data" / "pairs.jsonl",
        objectives=[{"name": "dpo", "beta": 0.3, "weights": {"name": "uncertainty", "alpha": 0.15}}, {"name": "conditional"}],
        hard_negative={"name": "blur"},
        noise={"step": 700},
        seed=9,
    )
    of_run = InspectionSettings.read(config)
    assert (of_run.beta, of_run.seed, of_run.noise.step, of_run.weights) == (0.3, 9, 700, Uncertainty(alpha=0.15))
    assert InspectionSettings.read(config, ["hard_negative={name: crop}", "weights.alpha=0.2"]) == replace(
        of_run, hard_negative=Crop(), weights=Uncertainty(alpha=0.2)
    )
    assert InspectionSettings.read() == InspectionSettings()
    with pytest.raises(ConfigError, match="did you mean 'alpha'"):
        InspectionSettings.read(None, ["weights.alpa=0.2"])


def of_bytes(ids) -> str:
    """Every token is a byte."""
    return bytes(ids).decode("utf-8", errors="replace")


def test_weights_of_one_answer_are_shown_of_both_and_the_page_says_so(page, folder, checkpoint, adapter, tmp_path):
    pairs = folder / "data" / "pairs.jsonl"
    settings = InspectionSettings.read(None, [*ASKED, "weights.answers=chosen"])
    made = inspect(checkpoint, pairs, "pair-2", out=tmp_path / "page.html", adapter=adapter, settings=settings)
    np.testing.assert_array_equal(values(made, 1)["weight"], values(page, 1)["weight"])
    assert "though those of the chosen one alone are set" in made.read_text(encoding="utf-8")


def test_a_character_of_several_tokens_stands_with_the_last_of_them():
    assert pieces(list("né 漢\n".encode()), of_bytes) == ("n", "", "é", " ", "", "", "漢", "\n")
    cut = list("漢".encode())[:2]
    assert "".join(pieces(cut, of_bytes)) == of_bytes(cut)
