"""Greedy answers by transformers: generate, its cache, scaled-dot-product attention. Reads: folder, dtype, batches, tokens, steps."""

import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, LlavaForConditionalGeneration

from benchmarks.harness.protocol import serve, versions
from benchmarks.programs.questions import questions


class Program:
    """Model, tokenizer and image processor."""

    def __init__(self, folder: Path, dtype: torch.dtype):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        model = LlavaForConditionalGeneration.from_pretrained(folder / "model", dtype=dtype, attn_implementation="sdpa")
        self.model = model.to(self.device).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder / "model", padding_side="left")
        self.images = AutoImageProcessor.from_pretrained(folder / "model", backend="pil")
        self.features = model.config.image_seq_length

    @torch.inference_mode()
    def answer(self, asked: list[tuple[int, str, Path]], tokens: int) -> list[list[int]]:
        texts = [self._templated(prompt) for _, prompt, _ in asked]
        encoded = self.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(self.device)
        images = [Image.open(path).convert("RGB") for *_, path in asked]
        pixels = self.images(images=images, return_tensors="pt")["pixel_values"].to(self.device, self.model.dtype)
        found = self.model.generate(**encoded, pixel_values=pixels, max_new_tokens=tokens, do_sample=False, use_cache=True)
        end = self.tokenizer.eos_token_id
        answers = found[:, encoded["input_ids"].shape[1] :].tolist()
        return [answer[: answer.index(end) + 1] if end in answer else answer for answer in answers]

    def _templated(self, prompt: str) -> str:
        content = [{"type": "image"}, {"type": "text", "text": prompt}]
        text = self.tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
        return text.replace("<image>", " ".join(["<image>"] * self.features))


def main(spec: dict[str, Any]) -> dict[str, Any]:
    folder = Path(spec["folder"])
    program = Program(folder, getattr(torch, spec["dtype"]))
    return {
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "versions": versions("torch", "transformers"),
        "runs": [measure(program, folder, spec, rows) for rows in spec["batches"]],
    }


def measure(program: Program, folder: Path, spec: dict[str, Any], rows: int) -> dict[str, Any]:
    asked = questions(folder, rows)
    found: dict[str, Any] = {"batch": rows, "first": [], "whole": []}
    for repetition in range(spec["steps"] + 1):  # before the first, warming up
        for name, tokens in (("first", 1), ("whole", spec["tokens"])):
            began = time.perf_counter()
            answers = program.answer(asked, tokens)
            found[name] += [time.perf_counter() - began] * (repetition > 0)
    return {**found, "answers": answers}


if __name__ == "__main__":
    serve(main)
