"""Tokenizer, chat template and image processor files of a tiny LLaVA: LLaMA-like pieces, 28-pixel images."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, processors, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 99
IMAGE = "<image>"
TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() }}: "
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{{ ' ' }}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
SENTENCES = "USER ASSISTANT what is in the picture a red cat blue dog on green table there are two small birds no one here"
WORDS = SENTENCES.split()


def write_tiny_processor(folder: Path) -> Path:
    """Writes the files beside a checkpoint's config.json; the image token is the last of the 99 ids."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY - 1, special_tokens=["<unk>", "<s>", "</s>", "<pad>"], show_progress=False)
    tokenizer.train_from_iterator([" ".join(WORDS), *WORDS, ": . , ? \n"] * 4, trainer)
    spare = VOCABULARY - 1 - tokenizer.get_vocab_size()
    tokenizer.add_tokens([f"<spare{i}>" for i in range(spare)])
    tokenizer.add_special_tokens([IMAGE])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    image = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": 28},
        "crop_size": {"height": 28, "width": 28},
        "do_convert_rgb": True,
        "do_resize": True,
        "do_center_crop": True,
        "do_rescale": True,
        "do_normalize": True,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(image), encoding="utf-8")
    return folder
