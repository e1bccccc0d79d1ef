"""What asks a judge: a language model that extracts objects or rates answers, behind any OpenAI-compatible endpoint."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable
from urllib.parse import urlsplit

from jax_mdpo.core.config import config
from jax_mdpo.core.errors import UserError
from jax_mdpo.data.cache import cache_folder
from jax_mdpo.evaluation.benchmarks.judge_replies import Replies
from jax_mdpo.evaluation.benchmarks.language import module
from jax_mdpo.evaluation.benchmarks.protocol import ItemError

T = TypeVar("T")
Message = Mapping[str, str]  # {"role": ..., "content": ...}

OPENAI = "https://api.openai.com/v1"


class JudgeError(UserError):
    """The judge cannot be used at all: no item could be judged, so the evaluation stops. What was judged is kept."""


class UnreadableReply(ValueError):
    """A reply that does not say what was asked for."""


class Reply(NamedTuple):
    """What a judge said, and the model that the endpoint says has said it."""

    text: str
    model: str


@runtime_checkable
class Ask(Protocol):
    """Asks the judge once, or as often as it takes until `read` makes sense of the reply."""

    def __call__(self, messages: Sequence[Message], parameters: Mapping[str, Any], read: Callable[[str], T]) -> tuple[T, Reply]:
        """What `read` makes of a reply, and the reply. `read` raises UnreadableReply. Raises ItemError where no reply was of use."""


class LoadedJudge(NamedTuple):
    """A judge that is ready. at_once: how many threads may ask at the same time."""

    ask: Ask
    tools: Mapping[str, str]
    at_once: int


@runtime_checkable
class Judge(Protocol):
    """What judges."""

    def load(self) -> LoadedJudge: ...


@config
class EndpointJudge:
    """A model behind an endpoint of the OpenAI chat protocol: OpenAI's own, a hosted one, or a local server.

    base_url: of the endpoint, such as http://localhost:8000/v1; by default that of OPENAI_BASE_URL, or OpenAI's. key: the environment
    variable that holds the key; a server of one's own may need none. parameters: of each request, over the benchmark's own, for models
    that refuse one of them: null leaves it out. retries: of a request that fails (busy, cut off), with growing pauses. attempts: at a
    reply that can be read. timeout: seconds for one request. cache: folder of the replies, by default in JAX_MDPO_CACHE.
    """

    model: str
    base_url: str | None = None
    key: str = "OPENAI_API_KEY"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    at_once: int = 8
    retries: int = 8
    attempts: int = 5
    timeout: float = 120
    cache: Path | None = None

    def __post_init__(self) -> None:
        if self.at_once < 1 or self.attempts < 1 or self.retries < 0:
            raise ValueError("at_once and attempts are at least 1, retries at least 0")

    def load(self) -> LoadedJudge:
        openai = module("openai", extra="judge")
        url = (self.base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI).rstrip("/")
        key = os.environ.get(self.key)
        if not key and url == OPENAI:
            raise JudgeError(
                f"the judge's key is not in the environment variable {self.key}",
                fix=f"export {self.key}=…, or name an endpoint that needs none: judge.base_url=http://localhost:8000/v1",
            )
        client = openai.OpenAI(api_key=key or "none", base_url=url, max_retries=self.retries, timeout=self.timeout)
        replies = Replies(self.cache or cache_folder() / "judge")
        asking = _Asking(openai, client, replies, self.model, url, self.parameters, self.attempts)
        return LoadedJudge(asking, {"judge": f"{self.model} at {urlsplit(url).netloc}"}, self.at_once)


class _Asking(NamedTuple):
    """`Ask` of an endpoint: replies that could be read are kept by their content and never asked for again."""

    openai: Any
    client: Any
    replies: Replies
    model: str
    url: str
    overrides: Mapping[str, Any]
    attempts: int

    def __call__(self, messages: Sequence[Message], parameters: Mapping[str, Any], read: Callable[[str], T]) -> tuple[T, Reply]:
        merged = {name: value for name, value in {**parameters, **self.overrides}.items() if value is not None}
        request = {"model": self.model, "messages": [dict(message) for message in messages], **merged}
        kept = self.replies.get(self.url, request)
        if kept is not None:
            with suppress(UnreadableReply):
                return read(kept[0]), Reply(*kept)
        fault = ""
        for _ in range(self.attempts):
            try:
                reply = self._reply(request)
                found = read(reply.text)
            except UnreadableReply as error:
                fault = str(error)
                continue
            self.replies.put(self.url, request, reply)
            return found, reply
        raise ItemError(f"the judge gave no reply that can be read in {self.attempts} attempts: {fault}")

    def _reply(self, request: Mapping[str, Any]) -> Reply:
        """One reply; the client itself repeats what may pass (429, 5xx, a broken connection), with growing pauses."""
        openai = self.openai
        try:
            answer = self.client.chat.completions.create(**request)
        except openai.APITimeoutError:
            raise ItemError(
                f"the judge did not answer within {self.client.timeout:g} s, asked {self.client.max_retries + 1} times"
            ) from None
        except openai.APIConnectionError as error:
            raise JudgeError(
                f"the judge at {self.url} cannot be reached: {error.__cause__ or error}", fix="start it, or check judge.base_url"
            ) from None
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise JudgeError(f"the judge at {self.url} refuses {self.model}: {_said(error)}", fix="check judge.model and its key") from None
        except openai.APIStatusError as error:
            if getattr(error, "code", None) == "insufficient_quota":
                raise JudgeError(f"the judge's quota is spent: {_said(error)}", fix="start again later: replies are kept") from None
            raise ItemError(f"the judge answered {_said(error)}") from None
        except (openai.APIResponseValidationError, ValueError) as error:
            raise UnreadableReply(f"no message of the chat protocol: {error}") from None
        choices = getattr(answer, "choices", None)
        text = choices[0].message.content if choices and choices[0].message else None
        if not isinstance(text, str) or not text.strip():
            raise UnreadableReply("an empty reply")
        return Reply(text, str(answer.model or self.model))


def _said(error: Any) -> str:
    return f"{error.status_code}: {error.message:.300}"
