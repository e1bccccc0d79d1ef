"""Kernels in fewer bits: a code for each weight, a scale for each block of them. In numpy, so that every device gets the same codes.

The loader encodes with these functions and the exporter decodes with them; layers/quantised.py multiplies with what they make.
"""

import os
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from einops import rearrange
from jaxtyping import Float, Int8, Shaped, UInt8

Quantization = Literal["int8", "nf4"]

# The 16 values of 4-bit NormalFloat: Dettmers et al. 2023 (QLoRA), arXiv 2305.14314, appendix E.
NF4_VALUES = (
    -1.0,
    -0.6961928009986877,
    -0.5250730514526367,
    -0.39491748809814453,
    -0.28444138169288635,
    -0.18477343022823334,
    -0.09105003625154495,
    0.0,
    0.07958029955625534,
    0.16093020141124725,
    0.24611230194568634,
    0.33791524171829224,
    0.44070982933044434,
    0.5626170039176941,
    0.7229568362236023,
    1.0,
)
_NF4 = np.array(NF4_VALUES, np.float32)
_BETWEEN = (_NF4[1:] + _NF4[:-1]) / 2
_CHUNK = 1 << 18  # weights encoded at a time: they stay in the processor's cache


class Parts(NamedTuple):
    """What is held of a kernel [in, out]: one entry for each part, arrays or what describes them.

    codes: [in / weights per byte, out]. scale: [blocks, out]; weight = value of its code × scale of its block.
    """

    codes: Any
    scale: Any


@dataclass(frozen=True)
class Format(ABC):
    """block: how many weights along the input axis share a scale, None for all of a channel's. The last block may be shorter.

    top: the value of the largest code. per_byte: codes in a byte. dtype: of that byte.
    """

    name: str
    block: int | None
    top: float
    per_byte: int
    dtype: np.dtype

    def shapes(self, inputs: int, outputs: int) -> Parts:
        """The shapes of the parts of a kernel [inputs, outputs]."""
        return Parts((-(-inputs // self.per_byte), outputs), (-(-inputs // self._block(inputs)), outputs))

    def encode(self, kernel: Shaped[np.ndarray, "inputs outputs"]) -> Parts:
        """The parts of a kernel in any float dtype: scales in float32 from the largest magnitudes, codes the nearest to weight / scale."""
        inputs, outputs = kernel.shape
        shapes = self.shapes(inputs, outputs)
        parts = Parts(np.empty(shapes.codes, self.dtype), np.empty(shapes.scale, np.float32))
        width = max(1, _CHUNK // inputs)

        def channels(start: int) -> None:
            chosen = slice(start, start + width)
            blocks = self._blocks(kernel[:, chosen])
            largest = np.abs(blocks).max(axis=2, initial=0) / np.float32(self.top)
            blocks /= np.where(largest > 0, largest, 1)[:, :, None]
            codes = rearrange(self._codes(blocks), "o b s -> (b s) o")[: parts.codes.shape[0] * self.per_byte]
            parts.codes[:, chosen] = self._pack(codes)
            parts.scale[:, chosen] = largest.T

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(channels, range(0, outputs, width)))
        return parts

    def decode(self, parts: Parts, inputs: int) -> Float[np.ndarray, "inputs outputs"]:
        """The kernel that the parts stand for, in float32."""
        scale = np.repeat(parts.scale, self._block(inputs), axis=0)[:inputs]
        return self._values(self._unpack(parts.codes)[:inputs]) * scale

    def _block(self, inputs: int) -> int:
        return self.block or inputs

    def _blocks(self, kernel: Shaped[np.ndarray, "inputs outputs"]) -> Float[np.ndarray, "outputs blocks size"]:
        """A copy in float32, channel by channel as checkpoints store it, filled up with zeros to whole blocks."""
        inputs, outputs = kernel.shape
        size = self._block(inputs)
        whole = np.zeros((outputs, -(-inputs // size) * size), np.float32)
        whole[:, :inputs] = kernel.T
        return rearrange(whole, "o (b s) -> o b s", s=size)

    @abstractmethod
    def _codes(self, scaled: Float[np.ndarray, "outputs blocks size"]) -> Shaped[np.ndarray, "outputs blocks size"]:
        """The nearest codes of weight / scale."""

    @abstractmethod
    def _values(self, codes: Shaped[np.ndarray, "inputs outputs"]) -> Float[np.ndarray, "inputs outputs"]:
        """What the codes stand for."""

    def _pack(self, codes: np.ndarray) -> np.ndarray:
        return codes

    def _unpack(self, packed: np.ndarray) -> np.ndarray:
        return packed


class _Int8(Format):
    """Symmetric: whole numbers from -127 to 127, a scale for each output channel. 1 byte a weight."""

    def _codes(self, scaled: Float[np.ndarray, "outputs blocks size"]) -> Int8[np.ndarray, "outputs blocks size"]:
        return np.rint(scaled).astype(np.int8)

    def _values(self, codes: Int8[np.ndarray, "inputs outputs"]) -> Float[np.ndarray, "inputs outputs"]:
        return codes.astype(np.float32)


class _Nf4(Format):
    """4-bit NormalFloat over blocks of 64, as bitsandbytes has it without double quantisation. 4.5 bits a weight.

    Two neighbours along the input axis share a byte, the first in its lower half.
    """

    def _codes(self, scaled: Float[np.ndarray, "outputs blocks size"]) -> UInt8[np.ndarray, "outputs blocks size"]:
        codes = np.zeros(scaled.shape, np.uint8)
        for boundary in _BETWEEN:  # faster than a search of the table for each weight
            codes += scaled > boundary
        return codes

    def _values(self, codes: UInt8[np.ndarray, "inputs outputs"]) -> Float[np.ndarray, "inputs outputs"]:
        return _NF4[codes]

    def _pack(self, codes: UInt8[np.ndarray, "inputs outputs"]) -> UInt8[np.ndarray, "half outputs"]:
        return codes[::2] | codes[1::2] << 4

    def _unpack(self, packed: UInt8[np.ndarray, "half outputs"]) -> UInt8[np.ndarray, "inputs outputs"]:
        return rearrange([packed & 15, packed >> 4], "two i o -> (i two) o")


INT8 = _Int8("int8", None, 127.0, 1, np.dtype(np.int8))
NF4 = _Nf4("nf4", 64, 1.0, 2, np.dtype(np.uint8))
FORMATS: dict[Quantization, Format] = {"int8": INT8, "nf4": NF4}
