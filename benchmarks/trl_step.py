"""TRL's DPOTrainer on the benchmark's data, in TRL's own environment: prints the seconds of every step as one JSON line."""

import argparse
import itertools
import json
import time
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer, LlavaForConditionalGeneration, LlavaProcessor, TrainerCallback
from trl import DPOConfig, DPOTrainer

LINEAR_LAYERS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"


class StepTimes(TrainerCallback):
    """Seconds from the end of one step to the end of the next: loading and preparing the batch counts."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.losses: list[float] = []

    def on_step_end(self, args, state, control, **rest) -> None:
        self.ends.append(time.perf_counter())

    def on_log(self, args, state, control, logs=None, **rest) -> None:
        if logs and "loss" in logs:
            self.losses.append(float(logs["loss"]))

    @property
    def seconds(self) -> list[float]:
        return [end - begin for begin, end in itertools.pairwise(self.ends)]


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
    def turn(role: str, text: str) -> list[dict]:
        return [{"role": role, "content": text}]

    rows = json.loads((folder / "pairs.json").read_text())
    return Dataset.from_list(
        [
            {
                "images": [Image.open(folder / "images" / row["img_path"]).convert("RGB")],
                "prompt": turn("user", row["prompt"]),
                "chosen": turn("assistant", row["chosen"]),
                "rejected": turn("assistant", row["rejected"]),
            }
            for row in rows
        ]
    )


def measure(folder: Path, *, pairs: int, steps: int, checkpointing: bool) -> dict:
    config = DPOConfig(
        output_dir=str(folder / "trl"),
        use_cpu=True,
        bf16=False,
        max_length=None,
        beta=0.1,
        learning_rate=1e-4,
        per_device_train_batch_size=pairs,
        gradient_checkpointing=checkpointing,
        max_steps=steps + 1,
        logging_steps=steps + 1,
        logging_first_step=True,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_num_workers=0,
    )
    model = LlavaForConditionalGeneration.from_pretrained(folder / "model", dtype=torch.float32)
    times = StepTimes()
    trainer = DPOTrainer(
        model=model,
        args=config,
        train_dataset=pairs_of(folder),
        processing_class=processor_of(folder / "model"),
        peft_config=LoraConfig(r=16, lora_alpha=32, lora_dropout=0.0, target_modules=LINEAR_LAYERS),
        callbacks=[times],
    )
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.train()
    shapes = {name: list(value.shape) for name, value in batch.items() if hasattr(value, "shape")}
    trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    return {"seconds": times.seconds, "shapes": shapes, "trained_parameters": trained, "losses": times.losses[:1]}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--checkpointing", action="store_true", help="TRL's default, which saves memory")
    arguments = parser.parse_args()
    result = measure(arguments.folder, pairs=arguments.pairs, steps=arguments.steps, checkpointing=arguments.checkpointing)
    print(json.dumps(result))
