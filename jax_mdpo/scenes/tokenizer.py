"""A tokenizer of whole words, each with the space before it: what the world says, and what the chat template writes around it."""

import re

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors

from jax_mdpo.scenes.wording import all_texts

UNK, BOS, EOS, PAD, IMAGE = "<unk>", "<s>", "</s>", "<pad>", "<image>"
SPECIAL = {"unk_token": UNK, "bos_token": BOS, "eos_token": EOS, "pad_token": PAD}
WORD = r" ?\w+|\s|[^\w\s]"
TURNS = "USER: \n ASSISTANT:"  # what the chat template writes


def make_tokenizer() -> Tokenizer:
    """<s> opens every text, <image> is one token, and a word that the world does not use is <unk>."""
    texts = [TURNS, *all_texts(), *(f" {text}" for text in all_texts())]
    words = [word for text in texts for word in re.findall(WORD, text)]
    vocabulary = dict.fromkeys([UNK, BOS, EOS, PAD, IMAGE, *words])
    tokenizer = Tokenizer(models.WordLevel({word: id for id, word in enumerate(vocabulary)}, unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(WORD), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in (UNK, BOS, EOS, PAD, IMAGE)])
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))])
    return tokenizer
