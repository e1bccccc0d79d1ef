"""A LLaMA-like tokenizer for the demo's few words: byte pairs over ▁-joined words, unknown characters as bytes."""

import json
from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors, trainers

UNK, BOS, EOS, PAD, IMAGE = "<unk>", "<s>", "</s>", "<pad>", "<image>"
SPECIAL: dict[str, str] = {"unk_token": UNK, "bos_token": BOS, "eos_token": EOS, "pad_token": PAD}

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
PIECES = 512  # at most, bytes included


def train_tokenizer(texts: Iterable[str]) -> Tokenizer:
    """Learns pieces from `texts`; <s> opens every text, and <image> is one token."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNK, fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(vocab_size=PIECES, special_tokens=[UNK, BOS, EOS, *BYTES], show_progress=False)
    tokenizer.train_from_iterator((word for text in texts for word in ("USER: ASSISTANT: " + text).split()), trainer)
    tokenizer = _with_plain_bytes(tokenizer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in (UNK, BOS, EOS, IMAGE, PAD)])
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))])
    return tokenizer


def _with_plain_bytes(trained: Tokenizer) -> Tokenizer:
    """The same pieces, the bytes among them no longer special: the text "<0x41>" must not stand for a letter."""
    state = json.loads(trained.to_str())
    state["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(state))
