"""Encoded images become upright, 8-bit RGB pixels, or an error that names the record."""

import io

import numpy as np
from PIL import ExifTags, Image, ImageOps

from jax_mdpo.core.errors import RecordError
from jax_mdpo.core.records import ImageSource

# Raster formats only: Pillow would hand an EPS file to Ghostscript. Its JPEG reader opens MPO files too.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF", "PPM")
SIXTEEN_BIT_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I")
WHITE = (255, 255, 255, 255)
UPRIGHT = 1  # EXIF's orientation of an image that needs no turning


def open_image(source: ImageSource, *, max_pixels: int, name: str) -> Image.Image:
    """The first frame of an encoded image, turned as its EXIF orientation says, as an RGB image.

    Transparency is laid over white, as transformers' image processors do; CMYK and palettes are converted by Pillow; 16-bit grey is
    scaled to 8 bits. max_pixels: width × height above which the image is refused before it is decoded.
    Raises RecordError, naming the record by `name`, where the image is missing, empty, broken or too large.
    """
    try:
        encoded = source if isinstance(source, bytes) else source.read_bytes()
    except OSError as error:
        raise RecordError(f"{name}: its image {error.filename} cannot be read: {error.strerror}", fix="check the file") from None
    if not encoded:
        raise _broken(name, source, "it is empty")
    try:
        with Image.open(io.BytesIO(encoded), formats=FORMATS) as image:
            if image.width * image.height > max_pixels:
                raise _enormous(name, source, f"{image.width} × {image.height}", max_pixels)
            image.load()
            return to_rgb(_upright(image))
    except RecordError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _enormous(name, source, str(error), max_pixels) from None
    except Image.UnidentifiedImageError:
        raise _broken(name, source, "it is no image in a known format") from None
    except Exception as error:  # decoders meet a broken file with errors of many kinds
        raise _broken(name, source, str(error) or type(error).__name__) from None


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as 8-bit RGB. Raises ValueError for pixels whose range is not known."""
    if image.mode in SIXTEEN_BIT_MODES:
        image = _eight_bit(image)
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range; convert it to 8 bits")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey scaled so that 0 stays 0 and 65535 becomes 255; Pillow's own conversion would clip at 255."""
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() > 65535:
        raise ValueError("its pixels exceed 16 bits; convert it to 8 bits")
    return Image.fromarray(((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _upright(image: Image.Image) -> Image.Image:
    """Turned as EXIF says. Most images say nothing, and are handed back instead of copied."""
    try:
        upright = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT) == UPRIGHT
        return image if upright else ImageOps.exif_transpose(image)
    except Exception:  # a damaged EXIF block says nothing about the pixels
        return image


def _broken(name: str, source: ImageSource, why: str) -> RecordError:
    place = "" if isinstance(source, bytes) else f" {source}"
    return RecordError(f"{name}: its image{place} cannot be decoded: {why}", fix="download it again or leave the record out")


def _enormous(name: str, source: ImageSource, got: str, max_pixels: int) -> RecordError:
    place = "" if isinstance(source, bytes) else f" {source}"
    return RecordError(
        f"{name}: its image{place} is too large",
        expected=f"at most {max_pixels} pixels",
        got=got,
        fix="shrink it, or raise data.max_image_pixels if you trust the file",
    )
