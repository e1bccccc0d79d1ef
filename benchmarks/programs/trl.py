"""TRL's DPOTrainer, in TRL's own environment (benchmarks/trl_environment.sh).

Reads: folder, dtype, batches, steps, warm_up, checks, checkpointing (TRL's default is true, which saves memory and costs time).
Times run from the end of one step to the end of the next, so loading and preparing a batch count.
"""

import itertools
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, set_peft_model_state_dict
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoTokenizer, LlavaForConditionalGeneration, LlavaProcessor, TrainerCallback
from trl import DPOConfig, DPOTrainer

from benchmarks.harness.protocol import process_peak, reset_process_peak, serve, try_batches, versions

CUDA = torch.cuda.is_available()
LINEAR_LAYERS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


class StepTimes(TrainerCallback):
    """When each step was done."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, args, state, control, **rest) -> None:
        if CUDA:
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())


def processor_of(folder: Path) -> LlavaProcessor:
    return LlavaProcessor(
        image_processor=AutoImageProcessor.from_pretrained(folder, backend="pil"),
        tokenizer=AutoTokenizer.from_pretrained(folder),
        chat_template=(folder / "chat_template.jinja").read_text(),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )


def pairs_of(folder: Path) -> Dataset:
    """The pairs, their images decoded beforehand."""

    def turn(role: str, text: str) -> list[dict]:
        return [{"role": role, "content": text}]

    return Dataset.from_list(
        [
            {
                "images": [Image.open(folder / "images" / row["img_path"]).convert("RGB")],
                "prompt": turn("user", row["prompt"]),
                "chosen": turn("assistant", row["chosen"]),
                "rejected": turn("assistant", row["rejected"]),
            }
            for row in json.loads((folder / "pairs.json").read_text())
        ]
    )


def trainer_of(spec: Mapping[str, Any], pairs: int, times: StepTimes) -> DPOTrainer:
    """A trainer at a batch of `pairs`, its adapter the world's."""
    folder, dtype = Path(spec["folder"]), getattr(torch, spec["dtype"])
    steps = spec["warm_up"] + spec["steps"]
    adapter = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    config = DPOConfig(
        output_dir=str(folder / "trl"),
        use_cpu=not CUDA,
        bf16=dtype == torch.bfloat16,
        max_length=None,
        beta=0.1,
        learning_rate=1e-4,
        per_device_train_batch_size=pairs,
        gradient_checkpointing=spec["checkpointing"],
        max_steps=steps + 1,
        logging_steps=steps + 1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=4 if CUDA else 0,
    )
    trainer = DPOTrainer(
        model=LlavaForConditionalGeneration.from_pretrained(folder / "model", dtype=dtype, attn_implementation="sdpa"),
        args=config,
        train_dataset=pairs_of(folder),
        processing_class=processor_of(folder / "model"),
        peft_config=LoraConfig(r=adapter["r"], lora_alpha=adapter["lora_alpha"], lora_dropout=0.0, target_modules=LINEAR_LAYERS),
        callbacks=[times],
    )
    set_peft_model_state_dict(trainer.model, load_file(folder / "adapter" / "adapter_model.safetensors"))
    return trainer


def check(trainer: DPOTrainer, places: list[int]) -> dict[str, Any]:
    """Loss and gradient norm of these pairs, nothing trained."""
    batch = trainer.data_collator([trainer.train_dataset[place] for place in places])
    inputs = trainer._prepare_inputs(batch)
    trainer.model.train()
    with trainer.compute_loss_context_manager():
        loss = trainer.compute_loss(trainer.model, inputs)
    loss.backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in trainer.model.parameters() if p.grad is not None])
    trainer.model.zero_grad()
    return {"ids": list(places), "loss": loss.item(), "gradient": norm.item()}


def measure(spec: Mapping[str, Any], pairs: int) -> dict[str, Any]:
    times = StepTimes()
    trainer = trainer_of(spec, pairs, times)
    checks = [check(trainer, places) for places in spec["checks"]]
    reset_process_peak()
    if CUDA:
        torch.cuda.reset_peak_memory_stats()
    trainer.train()
    seconds = [end - begin for begin, end in itertools.pairwise(times.ends)]
    batch = next(iter(trainer.get_train_dataloader()))
    return {
        "seconds": seconds[spec["warm_up"] :],
        "peak_bytes": torch.cuda.max_memory_allocated() if CUDA else process_peak(),
        "checks": checks,
        "tokens": list(batch["input_ids"].shape),
        "trained_parameters": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "weight_bytes": sum(p.nbytes for p in trainer.model.parameters() if not p.requires_grad),
    }


def main(spec: dict[str, Any]) -> dict[str, Any]:
    runs = try_batches(spec["batches"], lambda pairs: measure(spec, pairs), lambda error: isinstance(error, torch.OutOfMemoryError))
    return {
        "device": torch.cuda.get_device_name() if CUDA else "cpu",
        "versions": versions("trl", "torch", "transformers", "peft", "accelerate"),
        "checks": next((run["checks"] for run in runs if "checks" in run), []),
        "runs": runs,
    }


if __name__ == "__main__":
    serve(main)
