"""The objects that an answer names, as Object HalBench's tool finds them: a judge lists them, a tagger reads the list."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from jax_mdpo.evaluation.benchmarks.coco_words import ObjectWords
from jax_mdpo.evaluation.benchmarks.judge import Ask, UnreadableReply
from jax_mdpo.evaluation.benchmarks.prompting import Prompt
from jax_mdpo.evaluation.benchmarks.tagging import Tag, Token

NOUNS = frozenset({"NN", "NNS", "NNP", "NNPS"})
PLACES = ("question", "answer")
PARAMETERS = {"temperature": 0.2, "max_tokens": 512}
TOO_SHORT = 3  # words: an answer of so few names no object, and the judge is not asked


@dataclass(frozen=True)
class Extraction:
    """Lets a judge name the objects of an answer, and reads the names."""

    objects: ObjectWords
    ask: Ask
    prompt: Prompt
    tag: Tag

    def named(self, question: str, answer: str) -> tuple[list[str], str | None]:
        """What the judge names, and the model that did; answers of at most three words go to no judge and name nothing."""
        if len(answer.split()) <= TOO_SHORT:
            return [], None
        content = self.prompt.filled({"question": question, "answer": answer})
        names, reply = self.ask([{"role": "system", "content": content}], PARAMETERS, object_list)
        return names, reply.model

    def words(self, names: Sequence[str]) -> list[str]:
        """The words of all names, each once, in order."""
        return list(dict.fromkeys(word for name in names for word in self._words(self.tag(f"a {name}"))))

    def _words(self, tokens: Sequence[Token]) -> list[str]:
        """A name's pairs where it has any, or else its runs of nouns."""
        return self.objects.joined([token.lemma for token in tokens], pairs_only=True) or noun_runs(tokens)


def object_list(reply: str) -> list[str]:
    """The JSON list of strings that a judge's reply is, or holds in a ```json fence or as its last line. Raises UnreadableReply."""
    fenced = re.search(r"```json\n(.*?)\n```", reply, re.DOTALL)
    for text in (reply, fenced[1] if fenced else "", reply.strip().rsplit("\n", 1)[-1]):
        try:
            found = json.loads(text)
        except ValueError:
            continue
        if isinstance(found, list) and all(isinstance(name, str) for name in found):
            return found
    raise UnreadableReply(f"no JSON list of names but {reply!r:.80}")


def noun_runs(tokens: Sequence[Token]) -> list[str]:
    """The lemmas of each longest run of nouns, joined by spaces."""
    runs: list[list[str]] = [[]]
    for token in tokens:
        if token.tag in NOUNS:
            runs[-1].append(token.lemma)
        else:
            runs.append([])
    return [" ".join(run) for run in runs if run]
