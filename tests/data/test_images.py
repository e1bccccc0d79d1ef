"""Images of every mode against values computed by hand; broken and enormous ones against their errors."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from jax_mdpo.core.errors import RecordError
from jax_mdpo.data.images import open_image
from jax_mdpo.data.settings import PILLOW_LIMIT


def encoded(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def opened(data: bytes, max_pixels: int = PILLOW_LIMIT) -> np.ndarray:
    image = open_image(data, max_pixels=max_pixels, name="record 'r1'")
    assert image.mode == "RGB"
    return np.asarray(image)


def test_rgb_is_left_alone(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    assert np.array_equal(np.asarray(open_image(path, max_pixels=35, name="r")), pixels)


def test_grey_is_repeated():
    assert opened(encoded(Image.new("L", (2, 2), 90), "PNG"))[0, 0].tolist() == [90, 90, 90]


def test_cmyk():
    """Without a colour profile, red = (255 − cyan)·(255 − black) / 255, and so on."""
    ink = (51, 102, 153, 51)
    expected = [round((255 - part) * (255 - ink[3]) / 255) for part in ink[:3]]
    found = opened(encoded(Image.new("CMYK", (16, 16), ink), "TIFF"))[0, 0]
    assert np.abs(found.astype(int) - expected).max() <= 1
    jpeg = opened(encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100))[8, 8]
    assert np.abs(jpeg.astype(int) - expected).max() <= 3


def test_palette():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert opened(encoded(image, "PNG"))[0].tolist() == [[10, 20, 30], [200, 100, 50]]


@pytest.mark.parametrize("format", ["PNG", "WEBP"])
def test_alpha_lies_over_white(format):
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    found = opened(encoded(Image.new("RGBA", (8, 8), (100, 0, 200, 51)), format, **options))[0, 0]
    alpha = 51 / 255
    expected = [alpha * part + (1 - alpha) * 255 for part in (100, 0, 200)]
    assert np.abs(found - np.array(expected)).max() <= 1


def test_a_transparent_palette_entry_and_grey_with_alpha_become_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert opened(encoded(image, "PNG", transparency=0))[0].tolist() == [[255, 255, 255], [200, 100, 50]]
    assert opened(encoded(image, "PNG", transparency=b"\x00\xff"))[0].tolist() == [[255, 255, 255], [200, 100, 50]]
    assert opened(encoded(Image.new("LA", (1, 1), (7, 0)), "PNG"))[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled(format):
    values = np.array([[0, 257, 128 * 257, 65535, 1000]], np.uint16)
    expected = [0, 1, 128, 255, round(1000 / 257)]
    assert opened(encoded(Image.fromarray(values), format))[0, :, 0].tolist() == expected


def test_sixteen_bit_colour_keeps_its_high_bytes():
    """A PNG of 16-bit RGB, written by hand: Pillow cannot write one."""
    row = b"\0" + struct.pack(">6H", 0x0A00, 0xFF00, 0x8080, 0x0000, 0xFFFF, 0x7F00)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")
    assert opened(data)[0].tolist() == [[0x0A, 0xFF, 0x80], [0x00, 0xFF, 0x7F]]


@pytest.mark.parametrize("pixels", [np.array([[70000]], np.int32), np.array([[-1]], np.int32), np.array([[0.5]], np.float32)])
def test_pixels_of_unknown_range_are_refused(pixels):
    with pytest.raises(RecordError, match="convert it to 8 bits"):
        opened(encoded(Image.fromarray(pixels), "TIFF"))


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame(format):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((200, 0, 0), (0, 200, 0))]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=50, **options)
    assert opened(data)[4, 4].tolist() == [200, 0, 0]


@pytest.mark.parametrize(
    ("orientation", "corners"),
    [  # of an image whose corners are a b / c d
        (1, "abcd"), (2, "badc"), (3, "dcba"), (4, "cdab"), (5, "acbd"), (6, "cadb"), (7, "dbca"), (8, "bdac"),
    ],
)  # fmt: skip
def test_exif_orientation(orientation, corners):
    values = {"a": 10, "b": 90, "c": 170, "d": 250}
    image = Image.new("RGB", (4, 2))
    for letter, place in zip("abcd", [(0, 0), (3, 0), (0, 1), (3, 1)], strict=True):
        image.putpixel(place, (values[letter],) * 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = opened(encoded(image, "PNG", exif=exif))
    assert found.shape == ((4, 2, 3) if orientation >= 5 else (2, 4, 3))
    seen = [int(found[row, column, 0]) for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1))]
    assert seen == [values[letter] for letter in corners]


def test_damaged_exif_does_not_spoil_the_pixels():
    data = encoded(Image.new("RGB", (8, 8), (1, 2, 3)), "PNG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert opened(data)[0, 0].tolist() == [1, 2, 3]


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))


@pytest.mark.parametrize("format", ["JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "AVIF", "PPM"])
def test_every_format_opens(format):
    assert np.abs(opened(encoded(Image.new("RGB", (40, 30), (200, 120, 40)), format)).astype(int) - (200, 120, 40)).max() < 12


def test_what_is_no_image_says_so():
    with pytest.raises(RecordError, match="no image in a known format"):
        opened(b"x" * 1000)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "JPEG2000", "AVIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_images_are_errors(format, share):
    data = encoded(NOISE, format)
    with pytest.raises(RecordError, match=r"record 'r1': its image cannot be decoded"):
        opened(data[: int(len(data) * share)])


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"<html>not found</html>", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_what_is_no_image_is_an_error(data):
    with pytest.raises(RecordError, match=r"record 'r1': its image cannot be decoded"):
        opened(data)


def test_missing_files_are_errors(tmp_path):
    with pytest.raises(RecordError, match=re.escape(f"{tmp_path / 'no.jpg'} cannot be read")):
        open_image(tmp_path / "no.jpg", max_pixels=9, name="record 1")


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing: reading its pixels would be the bomb."""
    data = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = struct.pack(">I", len(data)) + b"IHDR" + data + struct.pack(">I", zlib.crc32(b"IHDR" + data))
    return b"\x89PNG\r\n\x1a\n" + body + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize(("width", "height"), [(9000, 9999), (60_000, 60_000), (11_000, 11_000)])
def test_enormous_images_are_refused_before_decoding(width, height):
    with pytest.raises(RecordError, match=r"(?s)record 'r1': its image is too large.*max_image_pixels"):
        opened(png_header(width, height))


def test_the_limit_is_a_setting():
    data = encoded(Image.new("RGB", (10, 10)), "PNG")
    assert opened(data, max_pixels=100).shape == (10, 10, 3)
    with pytest.raises(RecordError, match="too large"):
        opened(data, max_pixels=99)
