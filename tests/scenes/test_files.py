"""The world's files through the readers and scorers that users run."""

import json

import pytest
from PIL import Image

import jax_mdpo
from jax_mdpo.data.readers.reading import Fault, read_records
from jax_mdpo.evaluation.benchmarks.caption_words import Words
from jax_mdpo.evaluation.benchmarks.chair import Chair
from jax_mdpo.evaluation.benchmarks.pope import SPLITS, Pope
from jax_mdpo.scenes.benchmark import ALL, SceneCaptions
from jax_mdpo.scenes.files import HELD_OUT, TRAIN, write_world
from jax_mdpo.scenes.kinds import PARTNER
from jax_mdpo.scenes.scene import PARTS
from jax_mdpo.scenes.wording import caption, named_in


def scored(benchmark, rows, data, tmp_path):
    tmp_path.mkdir(exist_ok=True)
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return jax_mdpo.evaluate(benchmark, answers=answers, data=data, out=tmp_path / "out")["unrounded"]


def captions(world, said):
    return [{"image_id": placed.id, "caption": said(placed.scene)} for part in PARTS for placed in world.scenes(part)]


def test_perfect_captions_score_perfectly(world, tmp_path):
    figures = scored(SceneCaptions(), captions(world, lambda scene: caption(scene.objects)), world.captions, tmp_path)
    assert list(figures) == [*sorted(PARTS), ALL]
    for part in PARTS:
        words = sum(len(caption(placed.scene.objects).split()) for placed in world.scenes(part))
        length = words / world.counts.evaluation
        expected = {"CHAIRs": 0, "CHAIRi": 0, "Coverage": 100, "Object F1": 100, "Malformed": 0, "Length": length}
        assert figures[part] == expected


def test_presuming_captions_score_what_they_presume(world, tmp_path):
    said = captions(world, lambda scene: caption((*scene.objects, *scene.missing)))
    figures = scored(SceneCaptions(), said, world.captions, tmp_path)
    scenes = [placed.scene for placed in world.scenes("broken")]
    right, wrong = sum(len(scene.objects) for scene in scenes), sum(len(scene.missing) for scene in scenes)
    assert figures["kept"]["CHAIRs"] == 0
    assert figures["broken"]["CHAIRs"] == 100
    assert figures["broken"]["CHAIRi"] == pytest.approx(100 * wrong / (right + wrong))
    assert figures["broken"]["Object F1"] == pytest.approx(100 * 2 * right / (2 * right + wrong))
    assert figures[ALL]["CHAIRs"] == pytest.approx(100 / 2)
    chair = scored(Chair(tokens=Words()), said, world.captions, tmp_path / "chair")
    assert chair["CHAIR"]["CHAIRi"] == figures[ALL]["CHAIRi"]
    assert chair["CHAIR"]["Recall"] == figures[ALL]["Coverage"]


def test_garbage_is_malformed_and_covers_nothing(world, tmp_path):
    figures = scored(SceneCaptions(), captions(world, lambda scene: "a photo of of of"), world.captions, tmp_path)
    assert figures["broken"] == {"CHAIRs": 0, "CHAIRi": 0, "Coverage": 0, "Object F1": 0, "Malformed": 100, "Length": 5}


def test_a_repeated_object_counts_once_in_f1_and_makes_a_caption_malformed(world, tmp_path):
    said = captions(world, lambda scene: f"a photo of a {scene.objects[0]} and a {scene.objects[0]}.")
    figures = scored(SceneCaptions(), said, world.captions, tmp_path)["kept"]
    scenes = world.scenes("kept")
    present = sum(len(placed.scene.objects) for placed in scenes)
    assert figures["Malformed"] == 100
    assert figures["Coverage"] == pytest.approx(100 * len(scenes) / present)
    assert figures["Object F1"] == pytest.approx(100 * 2 * len(scenes) / (len(scenes) + present))


@pytest.mark.parametrize("answer", ["truth", "Yes."])
def test_pope_reads_its_three_splits(world, tmp_path, answer):
    questions = Pope().questions(world.pope)
    assert {one.part for one in questions} == set(SPLITS)
    rows = [
        {"question_id": one.id, "split": one.part, "answer": one.truth.capitalize() + "." if answer == "truth" else answer}
        for one in questions
    ]
    figures = scored("pope", rows, world.pope, tmp_path)
    for split in SPLITS:
        assert figures[split]["Accuracy"] == (1.0 if answer == "truth" else 0.5)  # half of the questions are for what is not there


def test_pope_asks_for_what_is_there_and_adversarially_for_the_missing_partner(world):
    scenes = {placed.image: placed.scene for placed in world.scenes("broken")}
    for one in Pope().questions(world.pope):
        scene, name = scenes[one.image], one.text.split()[3]
        assert (name in scene.objects) == (one.truth == "yes")
        if one.truth == "no":
            assert (name in scene.missing) == (one.part == "adversarial")


def test_minimal_pairs_are_balanced_and_differ_in_one_partner(world):
    for part in PARTS:
        records = list(read_records(world.minimal(part), images=world.images))
        assert not any(isinstance(record, Fault) for record in records)
        assert len(records) == world.counts.evaluation
        for record in records:
            chosen, rejected = (set(named_in(text)) for text in (record.chosen, record.rejected))
            (changed,) = chosen ^ rejected
            assert PARTNER[changed] in chosen & rejected
            assert (changed in chosen) == (part == "kept")


def test_pictures_are_jpeg_files_and_ids_differ_between_splits(world):
    placed = [one for split in (*PARTS, TRAIN, HELD_OUT) for one in world.scenes(split)]
    assert len({one.id for one in placed}) == len({one.image for one in placed}) == len(placed) == 2 * 8 + 6 + 4
    for one in placed:
        with Image.open(world.images / one.image) as picture:
            picture.load()
            assert picture.format == "JPEG"
    assert [one.scene.part for one in world.scenes(TRAIN)] == ["kept", "broken"] * 3


def test_the_same_settings_give_the_same_bytes(world, tmp_path):
    again = write_world(tmp_path / "again", world.settings, world.counts)
    paths = sorted(path.relative_to(world.folder) for path in world.folder.rglob("*") if path.is_file())
    assert paths == sorted(path.relative_to(again.folder) for path in again.folder.rglob("*") if path.is_file())
    assert all((world.folder / path).read_bytes() == (again.folder / path).read_bytes() for path in paths)
