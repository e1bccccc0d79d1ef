"""mDPO written plainly in torch: transformers and PEFT, one unpadded sequence at a time, with their own tokenizer and processor."""

from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from transformers import AutoImageProcessor, AutoTokenizer

IMAGE_FEATURES = 16


class Reader:
    """Texts and images of a checkpoint folder to tensors, by transformers alone."""

    def __init__(self, folder: Path):
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.images = AutoImageProcessor.from_pretrained(folder, backend="pil")

    def sequence(self, prompt: str, response: str) -> tuple[list[int], list[int]]:
        """Prompt ids and response ids, EOS last; the prompt is templated."""
        expanded = prompt.replace("<image>", "<image>" * IMAGE_FEATURES)
        return self.tokenizer(expanded).input_ids, [
            *self.tokenizer(response, add_special_tokens=False).input_ids,
            self.tokenizer.eos_token_id,
        ]

    def pixels(self, path: Path) -> torch.Tensor:
        return torch.tensor(self.images(images=Image.open(path).convert("RGB"), return_tensors="np")["pixel_values"])


def token_logps(model: torch.nn.Module, reader: Reader, image: Path, prompt: str, response: str) -> torch.Tensor:
    """log π of every response token, EOS included."""
    question, answer = reader.sequence(prompt, response)
    ids = torch.tensor([[*question, *answer]])
    logits = model(input_ids=ids, pixel_values=reader.pixels(image)).logits[0, len(question) - 1 : -1].float()
    return F.log_softmax(logits, dim=-1).gather(1, torch.tensor(answer)[:, None])[:, 0]


def mdpo_loss(policy: torch.nn.Module, reference: torch.nn.Module, reader: Reader, records: list[dict], *, beta: float) -> torch.Tensor:
    """The mean over records of the three terms; the hard negative is each record's rejected image."""
    losses = []
    for record in records:
        views = [("image", "chosen"), ("image", "rejected"), ("rejected_image", "chosen")]
        rewards = []
        for image, response in views:
            arguments = (reader, record[image], record["prompt"], record[response])
            with torch.no_grad():
                theirs = token_logps(reference, *arguments).sum()
            rewards.append(beta * (token_logps(policy, *arguments).sum() - theirs))
        chosen, rejected, negative = rewards
        losses.append(-F.logsigmoid(chosen - rejected) - F.logsigmoid(chosen - negative) - F.logsigmoid(chosen))
    return torch.stack(losses).mean()
