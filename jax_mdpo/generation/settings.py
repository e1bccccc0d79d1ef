"""How answers are chosen."""

from typing import Literal

from jax_mdpo.core.config import config

SAMPLING = ("top_p", "top_k", "seed")
BEAMS = ("length_penalty", "early_stopping")


@config
class Decoding:
    """Greedy unless a temperature or several beams are given.

    max_tokens: of an answer, its end token included.
    temperature: samples from softmax(logits / temperature). top_k: among the k likeliest tokens. top_p: among the likeliest whose
        probabilities reach p together. seed: of the draws (by default 0); a request's depend on it and on the request's id alone.
    beams: how many candidates beam search carries. length_penalty: a finished one's score is its log-probability divided by its
        tokens to this power (by default 1). early_stopping: false ends the search where no running candidate seems to become better than
        a finished one (the default), true where as many are finished as there are beams, "never" only where none can become better.
    """

    max_tokens: int = 256
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    beams: int = 1
    length_penalty: float | None = None
    early_stopping: bool | Literal["never"] | None = None

    def __post_init__(self) -> None:
        for name in ("max_tokens", "beams", "top_k"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.temperature is not None and not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}; leave it out for the likeliest token")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.temperature is not None and self.beams > 1:
            raise ValueError("temperature samples and beams search: give one of them")
        self._refuse(SAMPLING, self.temperature is None, "without a temperature nothing is sampled")
        self._refuse(BEAMS, self.beams == 1, "with one beam there is no search")

    def _refuse(self, names: tuple[str, ...], idle: bool, why: str) -> None:
        for name in names:
            if idle and getattr(self, name) is not None:
                raise ValueError(f"{name} changes nothing: {why}")
