"""The data set in tokens: every record encoded once, with its lengths, kept on disk between runs."""

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from jax_mdpo.core.errors import RecordError
from jax_mdpo.core.files import replacing
from jax_mdpo.core.records import Record
from jax_mdpo.core.views import RESPONSES
from jax_mdpo.data import encode
from jax_mdpo.data.cache import cache_folder
from jax_mdpo.data.encode import Encoder, Pair
from jax_mdpo.data.layout import lay_out
from jax_mdpo.data.packing import Lengths

log = logging.getLogger(__name__)

VERSION = 1  # of the cached file and of the rules of encoding: raise it when either changes
WORTH_A_BAR = 1000  # records


class TokenIndex:
    """The encoded pairs of a data set, in flat arrays, and the faults of those that have none.

    tokens: all sequences behind each other, record after record, in each in the order of `responses`. ends: where each stops.
    starts: its first response token. lengths: prefix and longest branch of every record; (0, 0) where `faults` (by place in the data
    set) says why it has none.
    """

    def __init__(
        self,
        tokens: np.ndarray,
        ends: np.ndarray,
        starts: np.ndarray,
        lengths: Lengths,
        faults: dict[int, RecordError],
        responses: tuple[str, ...] = RESPONSES,
    ):
        self.tokens, self.ends, self.starts, self.lengths, self.faults = tokens, ends, starts, lengths, faults
        self.responses = responses

    def pair(self, place: int) -> Pair:
        """The encoded pair of the record at `place`."""
        found = {}
        for offset, response in enumerate(self.responses, start=place * len(self.responses)):
            begin = self.ends[offset - 1] if offset else 0
            found[response] = encode.Sequence(self.tokens[begin : self.ends[offset]].tolist(), int(self.starts[offset]))
        return found

    def scored(self, response: str) -> np.ndarray:
        """How many tokens of a response count, for every record: its end token does, the prompt's do not."""
        lengths = np.diff(self.ends, prepend=0) - self.starts
        return lengths[self.responses.index(response) :: len(self.responses)]

    def fingerprint(self) -> str:
        """A digest of all tokens and of where the responses begin."""
        digest = hashlib.sha256()
        for array in (self.tokens, self.ends, self.starts):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def without(self, places: set[int]) -> "TokenIndex":
        """The index of the same records less those at `places`, renumbered."""
        keep = [place for place in range(len(self.lengths.prefix)) if place not in places]
        pairs = [self.pair(place) for place in keep]
        lengths = Lengths(self.lengths.prefix[keep], self.lengths.response[keep])
        faults = {new: self.faults[old] for new, old in enumerate(keep) if old in self.faults}
        return _flatten(pairs, lengths, faults, self.responses)


def open_index(records: Sequence[Record], encoder: Encoder) -> TokenIndex:
    """The index of `records`, from the cache where the same texts were encoded by the same processor under the same settings."""
    path = cache_folder() / "tokens" / f"{_key(records, encoder)}.npz"
    index = _load(path, len(records), encoder.responses)
    if index is None:
        index = build_index(records, encoder)
        _save(path, index)
    return index


def build_index(records: Sequence[Record], encoder: Encoder) -> TokenIndex:
    """Encodes every record; those that cannot be encoded become faults."""
    pairs: list[Pair] = []
    lengths = np.zeros((2, len(records)), np.int32)
    faults = {}
    for place, record in enumerate(_with_bar(records)):
        pair: Pair = {response: encode.Sequence([], 0) for response in encoder.responses}
        try:
            pair = encoder(record)
            row = lay_out(pair, encoder.processor)
            lengths[:, place] = row.prefix, row.longest_branch
        except RecordError as error:
            faults[place] = error
        pairs.append(pair)
    return _flatten(pairs, Lengths(*lengths), faults, encoder.responses)


def _flatten(pairs: list[Pair], lengths: Lengths, faults: dict[int, RecordError], responses: tuple[str, ...]) -> TokenIndex:
    sequences = [pair[response] for pair in pairs for response in responses]
    tokens = np.array([token for sequence in sequences for token in sequence.ids], np.int32)
    ends = np.cumsum([len(sequence.ids) for sequence in sequences], dtype=np.int64)
    return TokenIndex(tokens, ends, np.array([sequence.start for sequence in sequences], np.int32), lengths, faults, responses)


def digest_texts(records: Sequence[Record], responses: Sequence[str]) -> str:
    """A digest of ids and texts, of these responses, and of which records have images; not of where the images lie."""
    digest = hashlib.sha256()
    for record in records:
        images = (record.image is not None, record.rejected_image is not None)
        answers = (getattr(record, response) for response in responses)
        digest.update(repr((record.id, record.prompt, *answers, images)).encode())
    return digest.hexdigest()


def _key(records: Sequence[Record], encoder: Encoder) -> str:
    settings = encoder.settings
    rules = [VERSION, settings.prompt_format, settings.max_length, settings.overlong]
    parts = [digest_texts(records, encoder.responses), encoder.processor.fingerprint(), *rules]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _save(path: Path, index: TokenIndex) -> None:
    faults = json.dumps({place: str(error) for place, error in index.faults.items()})
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                tokens=index.tokens,
                ends=index.ends,
                starts=index.starts,
                lengths=np.stack(index.lengths),
                faults=np.frombuffer(faults.encode(), np.uint8),
            )
    except OSError as error:  # a cache that cannot be written costs time, not the run
        log.warning("the token index could not be kept in %s: %s", path.parent, error)


def _load(path: Path, count: int, responses: tuple[str, ...]) -> TokenIndex | None:
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:  # zip members carry checksums
            lengths = Lengths(*stored["lengths"])
            faults = {int(place): RecordError(text) for place, text in json.loads(stored["faults"].tobytes()).items()}
            index = TokenIndex(stored["tokens"], stored["ends"], stored["starts"], lengths, faults, responses)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        log.warning("the token index %s is damaged (%s) and is made anew", path, error)
        return None
    return index if len(index.lengths.prefix) == count else None


def _with_bar(records: Sequence[Record]) -> Iterator[Record]:
    shown = len(records) >= WORTH_A_BAR
    return iter(track(records, "Tokenising", console=Console(stderr=True), transient=True, disable=not shown))
