"""Searching every byte below a folder for things that should not be there, however they are written down."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

COMPRESSED = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
"""How zlib's and gzip's streams begin."""

ZLIB_OR_GZIP = zlib.MAX_WBITS | 32
LEAST_INFLATED = 8
"""Fewer bytes than this out of what looks like a stream are chance."""

MOST_INFLATED, PIECE = 1 << 28, 1 << 12
"""Bytes of one stream that are looked at, and of how many at a time."""

DEEPEST = 2
"""Streams inside streams that are opened."""

VALUES_IN_A_ROW = 2
"""Neighbouring coordinates of a vector whose bytes are searched for: eight bytes or more, which no chance repeats."""


@dataclass(frozen=True, slots=True)
class Needle:
    """Something to be found.

    Attributes:
        what: What to call it.
        encoding: How it is written.
        content: The bytes.
    """

    what: str
    encoding: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Find:
    """A needle in a file.

    Attributes:
        path: The file, relative to the folder.
        what: Of the needle.
        encoding: Of the needle, with ``compressed`` added where it lay inside a stream.
        times: How often.
    """

    path: Path
    what: str
    encoding: str
    times: int


def of_text(what: str, text: str) -> list[Needle]:
    """Return the ways a text may be written: plain, UTF-16, hexadecimal, and base64 at each of its three alignments."""
    plain = text.encode()
    encoded = {
        "plain": plain,
        "UTF-16-LE": text.encode("utf-16-le"),
        "UTF-16-BE": text.encode("utf-16-be"),
        "hex": plain.hex().encode(),
        "HEX": plain.hex().upper().encode(),
    }
    needles = [Needle(what, encoding, content) for encoding, content in encoded.items()]
    return needles + [Needle(what, "base64", content) for content in _base64(plain)]


def of_vector(what: str, vector: NDArray[np.float64]) -> list[Needle]:
    """Return the bytes of every few neighbouring coordinates as float64 and as float32, little-endian."""
    pieces = [vector[k : k + VALUES_IN_A_ROW] for k in range(0, len(vector) - VALUES_IN_A_ROW + 1, VALUES_IN_A_ROW)]
    types = {"float64": "<f8", "float32": "<f4"}
    return [
        Needle(what, encoding, piece.astype(type_).tobytes())
        for encoding, type_ in types.items()
        for piece in pieces
        if piece.any()
    ]


def searched(folder: Path, needles: Sequence[Needle]) -> list[Find]:
    """Search every file below a folder, and the zlib and gzip streams in it.

    Returns:
        One find for each file, thing and encoding; files in order of their paths.
    """
    finds = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        counts = _counted(_content(path), needles)
        finds += [Find(path.relative_to(folder), *key, times) for key, times in counts.items()]
    return finds


def _content(path: Path) -> bytes:
    """The bytes of a file; none where a running system has removed it since it was listed."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def nearest_cosine(rows: NDArray[np.float64], vector: NDArray[np.float64]) -> float:
    """Return the largest absolute cosine of a row with the vector; 0 where there is no row of its width.

    Args:
        rows: (n, d).
        vector: (d',).
    """
    if rows.shape[1] != len(vector) or not len(rows):
        return 0.0
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(vector)
    cosines = np.abs(rows @ vector) / np.where(norms > 0, norms, np.inf)
    return float(cosines.max())


def inflated(content: bytes) -> Iterator[bytes]:
    """Yield what the zlib and gzip streams in some bytes hold, wherever they begin; broken ones as far as they go."""
    for match in COMPRESSED.finditer(content):
        held = _stream(memoryview(content)[match.start() :])
        if len(held) >= LEAST_INFLATED:
            yield held


def _stream(content: memoryview) -> bytes:
    """What the stream at the beginning of some bytes holds, up to its end, a mistake in it, or `MOST_INFLATED`."""
    inflater, held = zlib.decompressobj(ZLIB_OR_GZIP), bytearray()
    for start in range(0, len(content), PIECE):
        piece, before = content[start : start + PIECE], inflater.copy()
        try:
            held += inflater.decompress(piece)
        except zlib.error:
            return bytes(held + _up_to_a_mistake(before, piece))
        if inflater.eof or len(held) > MOST_INFLATED:
            break
    return bytes(held)


def _up_to_a_mistake(inflater: zlib._Decompress, piece: memoryview) -> bytearray:
    held = bytearray()
    with suppress(zlib.error):
        for place in range(len(piece)):
            held += inflater.decompress(piece[place : place + 1])
    return held


def _counted(content: bytes, needles: Iterable[Needle], depth: int = 0) -> dict[tuple[str, str], int]:
    """How often each thing occurs in each encoding, in some bytes and in the streams inside them."""
    counts: dict[tuple[str, str], int] = {}
    for needle in needles:
        times = content.count(needle.content)
        if times:
            key = needle.what, needle.encoding + ", compressed" * (depth > 0)
            counts[key] = counts.get(key, 0) + times
    for held in inflated(content) if depth < DEEPEST else ():
        for key, times in _counted(held, needles, depth + 1).items():
            counts[key] = counts.get(key, 0) + times
    return counts


def _base64(plain: bytes) -> set[bytes]:
    """The characters that stand for these bytes and nothing else, for each place they may have in a stream's threes."""
    whole = set()
    for before in range(3):
        characters = base64.b64encode(b"\0" * before + plain)
        first, last = -(-before * 8 // 6), (before + len(plain)) * 8 // 6
        whole.add(characters[first:last])
    return whole
