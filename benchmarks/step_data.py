"""Data for benchmarks/step_vs_trl.py: a tiny LLaVA and pairs whose rows all have the same number of tokens, for both programs to read."""

import argparse
import json
from pathlib import Path

from tokenizers import Tokenizer

from jax_mdpo.core.seeds import generator
from jax_mdpo.demo.captions import describe, hallucinate
from jax_mdpo.demo.checkpoint import IMAGE_SIZE, PATCH_SIZE, write_checkpoint_files
from jax_mdpo.demo.scenes import ALL_THINGS, Scene, render
from jax_mdpo.models.families.llava.scratch import write_scratch

ROW = 37  # tokens: 16 of the image, the question, the answer with its EOS
QUESTION = "What is in the picture? Describe the picture."


def write_data(folder: Path, *, pairs: int) -> None:
    """Writes model/, images/ and pairs.json in `folder`; every prompt with either answer is ROW tokens long."""
    write_scratch(write_checkpoint_files(folder / "model"), seed=0)
    tokenizer = Tokenizer.from_file(str(folder / "model" / "tokenizer.json"))
    (folder / "images").mkdir(parents=True)
    rows = []
    for i in range(pairs):
        rng = generator(0, "benchmark", i)
        scene = Scene((ALL_THINGS[int(rng.integers(len(ALL_THINGS)))],))
        render(scene, rng).save(folder / "images" / f"{i}.jpg", quality=92)
        row = {"prompt": QUESTION, "chosen": describe(scene.things), "rejected": describe(hallucinate(scene, rng))}
        for answer in ("chosen", "rejected"):
            assert count_tokens(tokenizer, row[answer]) == ROW, (count_tokens(tokenizer, row[answer]), row)
        rows.append({"img_path": f"{i}.jpg", **row})
    (folder / "pairs.json").write_text(json.dumps(rows))


def count_tokens(tokenizer: Tokenizer, answer: str) -> int:
    """Tokens of the row that the chat template makes, its image placeholder expanded."""
    text = f"USER: <image>\n{QUESTION} ASSISTANT: {answer}</s>"
    return len(tokenizer.encode(text).ids) - 1 + (IMAGE_SIZE // PATCH_SIZE) ** 2


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=64)
    arguments = parser.parse_args()
    write_data(arguments.folder, pairs=arguments.pairs)
