"""Opening a picture that anybody may have made: what it claims to be is checked before a pixel is decoded."""

from __future__ import annotations

import io
import os
import stat
import struct
import sys
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

from mnist_cli.errors import InputError
from mnist_cli.text import file_size, printable

_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF")
_EXPECTED = "a PNG, JPEG, GIF, BMP, WebP or TIFF picture"
# As many as the best telephones take, and 300 MB while they are decoded.
_MAX_PIXELS = 100_000_000
_MAX_BYTES = 100_000_000
# JPEG can be decoded at half its size and less; more than that adds nothing to an image of MNIST's size.
_ENOUGH = (1000, 1000)
# What Pillow raises for a damaged file, as its decoders meet numbers that make no sense.
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OverflowError)
_DAMAGE_BELOW = (struct.error, zlib.error, ZeroDivisionError, MemoryError, Image.DecompressionBombError)


def open_picture(name: str | Path) -> Image.Image:
    """Return the decoded picture in a file, turned upright as its EXIF data say.

    Args:
        name: a file, or `-` for standard input.

    Raises:
        InputError: there is no such file, or it is not one whole picture of acceptable size; the message does not
            name the file.
    """
    if str(name) == "-":
        return _decode(io.BytesIO(_read(sys.stdin.buffer)))
    try:
        # Asked before it is opened: to open a pipe waits for somebody to write into it.
        mode = os.stat(name).st_mode  # noqa: PTH116  # an empty name is no file, while Path("") is the folder
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device ('-' reads standard input)"
            raise InputError(f"expected {_EXPECTED}; received {kind}")
        with open(name, "rb") as file:  # noqa: PTH123  # likewise
            return _decode(file)
    except FileNotFoundError as error:
        raise InputError("no such file") from error
    except OSError as error:
        raise InputError(error.strerror or printable(error)) from error
    except ValueError as error:  # each version of Python has other words for a zero byte
        raise InputError("a null byte in the name" if "\0" in str(name) else printable(error)) from error


def _read(stream: BinaryIO) -> bytes:
    content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise InputError(f"expected at most {file_size(_MAX_BYTES)}; received more")
    return content


def _decode(file: BinaryIO) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own limit, and odd metadata in a picture that can be seen
            return _load(file)
    except UnidentifiedImageError as error:
        raise InputError(f"expected {_EXPECTED}; received another kind of file") from error
    except Image.DecompressionBombError as error:
        raise _too_large("far more") from error
    except (*_DAMAGE, *_DAMAGE_BELOW) as error:
        raise InputError(f"the picture is damaged: expected {_EXPECTED}; received {printable(error)}") from error


def _load(file: BinaryIO) -> Image.Image:
    if not file.read(1):
        raise InputError(f"expected {_EXPECTED}; received nothing (0 bytes)")
    file.seek(0)
    image = Image.open(file, formats=_FORMATS)  # reads the header only
    if image.width * image.height > _MAX_PIXELS:
        raise _too_large(f"{image.width:,} × {image.height:,}")
    # A telephone's JPEG may hold a second picture for three dimensions (MPO): the first one is what was taken.
    if image.format in ("GIF", "PNG", "WEBP", "TIFF") and getattr(image, "is_animated", False):
        raise InputError(f"expected {_EXPECTED} that stands still; received an animation")
    if image.format in ("JPEG", "MPO"):
        image.draft(None, _ENOUGH)
    image.load()
    return ImageOps.exif_transpose(image)


def _too_large(received: str) -> InputError:
    return InputError(f"the picture is too large: expected at most {_MAX_PIXELS:,} pixels; received {received}")
