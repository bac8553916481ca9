"""Open untrusted pictures: their headers are checked before a pixel is decoded."""

from __future__ import annotations

import io
import os
import re
import stat
import struct
import sys
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError, features

from mnist_cli.errors import InputError
from mnist_cli.text import file_size, printable

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
_EXPECTED = "a PNG, JPEG, GIF, BMP, WebP, TIFF or AVIF picture"
_OPTIONAL = {"WEBP": "WebP", "AVIF": "AVIF"}  # formats that Pillow may lack
_READ_WHOLE = ("JPEG", "WEBP", "AVIF")  # their files are held in memory while they are decoded
# As many as the best phone cameras take; a side may be as long as JPEG and GIF allow.
_MAX_PIXELS = 100_000_000
_MAX_SIDE = 65_535
_MAX_MEMORY = 300_000_000  # bytes while a picture is decoded
_MAX_BYTES = 100_000_000  # of a file that is held in memory
# Bytes per pixel in Pillow's memory; 4 for other modes.
_STORED = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}
# Extra bytes per pixel of the libraries below Pillow: 8 to 12 were measured.
_BESIDE = {"WEBP": 16, "AVIF": 16}
# The most passes of a progressive JPEG; cameras and editors write about 10, and libtiff has the same limit. Each pass
# goes over all the pixels, however short it is in the file: 400 million pixels take a second.
_MAX_SCANS = 100
_MAX_SCANNED = 2_000_000_000
_TILE_SIDES, _BITS, _ORIENTATION = (322, 323), 258, 0x0112  # tags of TIFF and EXIF
# FF 00 and the restarts FF D0 to D7 are part of a scan's data; FF before any other byte is a marker.
_JPEG_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_START_OF_SCAN, _END_OF_IMAGE, _WITHOUT_LENGTH = b"\xda", b"\xd9", (b"\x01", b"\xd8")
# JPEG can be decoded at reduced size; more pixels than this add nothing to an image of MNIST's size.
_ENOUGH = (1000, 1000)
# What Pillow raises for a damaged file, when its decoders meet invalid numbers.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OverflowError)
_DAMAGE_BELOW = (struct.error, zlib.error, ZeroDivisionError, RecursionError, Image.DecompressionBombError)


def open_picture(name: str | Path) -> Image.Image:
    """Return the decoded picture in a file, rotated upright according to its EXIF data.

    Args:
        name: a file, or `-` for standard input.

    Raises:
        InputError: the file does not exist, or is not one complete picture of acceptable size; the message does
            not name the file.
    """
    if str(name) == "-":
        return _decode(io.BytesIO(_read(sys.stdin.buffer)))
    try:
        # Checked before opening, because opening a pipe waits for a writer.
        mode = os.stat(name).st_mode  # noqa: PTH116  # an empty name is not a file, while Path("") is the folder
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device ('-' reads standard input)"
            raise InputError(f"expected {_EXPECTED}; received {kind}")
        with open(name, "rb") as file:  # noqa: PTH123  # see above
            return _decode(file)
    except FileNotFoundError as error:
        raise InputError("no such file") from error
    except OSError as error:
        raise InputError(error.strerror or printable(error)) from error
    except ValueError as error:  # each version of Python has its own message for a null byte
        raise InputError("a null byte in the name" if "\0" in str(name) else printable(error)) from error


def _read(stream: BinaryIO) -> bytes:
    content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise InputError(f"expected at most {file_size(_MAX_BYTES)}; received more")
    return content


def _decode(file: BinaryIO) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit, and odd metadata in a readable picture
            return _load(file)
    except UnidentifiedImageError as error:
        raise InputError(f"expected {_EXPECTED}; received another kind of file") from error
    except Image.DecompressionBombError as error:
        raise _too_large(f"at most {_MAX_PIXELS:,} pixels", "far more") from error
    except MemoryError as error:
        raise InputError("the picture is too large for the free memory") from error
    except (*_DAMAGE, *_DAMAGE_BELOW) as error:
        raise InputError(f"the picture is damaged: expected {_EXPECTED}; received {printable(error)}") from error


def _load(file: BinaryIO) -> Image.Image:
    start = file.read(64)
    if not start:
        raise InputError(f"expected {_EXPECTED}; received nothing (0 bytes)")
    kind = _kind(start)
    if kind == "HEIC":
        raise InputError(
            f"expected {_EXPECTED}; received HEIC, the format of Apple's cameras",
            hint="save it as JPEG, with a viewer that shows it or with 'heif-convert photo.heic photo.jpg'",
        )
    if kind in _OPTIONAL and not features.check(kind.lower()):
        raise InputError(
            f"expected a picture that the installed Pillow reads; received {_OPTIONAL[kind]}",
            hint="run 'pip install --upgrade pillow', or save the picture as PNG",
        )
    if kind in _READ_WHOLE and file.seek(0, io.SEEK_END) > _MAX_BYTES:
        raise InputError(f"expected at most {file_size(_MAX_BYTES)}; received more")
    file.seek(0)
    # Reads only the header. Pillow before 11.3 does not know even the name AVIF.
    image = Image.open(file, formats=("AVIF",) if kind == "AVIF" else _FORMATS)
    if image.width * image.height > _MAX_PIXELS or max(image.size) > _MAX_SIDE:
        raise _too_large(
            f"at most {_MAX_PIXELS:,} pixels and {_MAX_SIDE:,} a side", f"{image.width:,} × {image.height:,}"
        )
    # A phone's JPEG may contain a second picture for 3D (MPO); the first one is the photograph.
    if image.format not in ("BMP", "JPEG", "MPO") and getattr(image, "is_animated", False):
        raise InputError(f"expected {_EXPECTED} with one image; received an animation or several pages")
    beside = _bytes_beside(image, file)
    if image.format in ("JPEG", "MPO"):
        image.draft(None, _ENOUGH)
    stored = image.width * image.height * _STORED.get(image.mode, 4)
    _check_memory(stored + beside)
    image.load()
    if image.getexif().get(_ORIENTATION, 1) == 1:
        return image
    _check_memory(2 * stored)
    return ImageOps.exif_transpose(image)


def _kind(start: bytes) -> str:
    """Return the format from the first bytes of a file, if it must be known before Pillow opens the file."""
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[4:8] == b"ftyp":
        brands = start[8 : int.from_bytes(start[:4])]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        if any(brand in brands for brand in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")):
            return "HEIC"
    return ""


def _bytes_beside(image: Image.Image, file: BinaryIO) -> int:
    """Return how many bytes the decoder needs besides the picture itself, from the picture's header.

    Raises:
        InputError: it is a JPEG whose many passes would take minutes.
    """
    pixels = image.width * image.height
    if image.format in ("JPEG", "MPO"):
        scans = _scans(file)
        if scans > _MAX_SCANS or scans * pixels > _MAX_SCANNED:
            raise InputError(
                f"the picture takes too long: expected a JPEG of at most {_MAX_SCANS} passes over {_MAX_SCANNED:,} "
                f"pixels in all; received {'more' if scans > _MAX_SCANS else scans} passes over {pixels:,} pixels each"
            )
        # With several passes, all coefficients are kept, at 2 bytes each; colours may have fewer of them than pixels.
        layers = [across * down for _, across, down, _ in image.layer]  # type: ignore[attr-defined]  # of JPEG only
        return int(2 * pixels * sum(layers) / max(layers)) if scans > 1 else 0
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]  # of TIFF only
        across, down = (tags.get(tag, 0) for tag in _TILE_SIDES)
        return int(max(pixels, across * down) * sum(tags.get(_BITS, (1,))) / 8)  # of one strip or tile
    return pixels * _BESIDE.get(image.format or "", 0)


def _scans(file: BinaryIO) -> int:
    """Return the number of passes of a JPEG, up to one too many; the position in the file does not change."""
    place = file.tell()
    file.seek(0)
    content = file.read()
    file.seek(place)
    at = scans = 0
    while scans <= _MAX_SCANS and (marker := _JPEG_MARKER.search(content, at)) and marker[1] != _END_OF_IMAGE:
        at = marker.end()
        scans += marker[1] == _START_OF_SCAN
        if marker[1] not in _WITHOUT_LENGTH:
            at += int.from_bytes(content[at : at + 2])
    return scans


def _check_memory(needed: int) -> None:
    if needed > _MAX_MEMORY:
        raise _too_large(f"at most {file_size(_MAX_MEMORY)} of memory", file_size(needed))


def _too_large(expected: str, received: str) -> InputError:
    return InputError(f"the picture is too large: expected {expected}; received {received}")
