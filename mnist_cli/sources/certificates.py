"""The trusted certificate authorities: the usual ones, or those that the environment names.

A company's network that inspects TLS presents certificates of its own authority. curl, OpenSSL and Python each have a
variable for this, and all of them work here.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from mnist_cli.sources.failures import MirrorError
from mnist_cli.text import printable

HINT = "if your network inspects TLS, set REQUESTS_CA_BUNDLE to the file with its certificate (PEM)"
# Either may name a file or a folder. They come first because they are meant for programs like this one.
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Authorities:
    """The certificates of trusted authorities; without a file and a folder, the usual ones.

    Attributes:
        file: certificates in PEM.
        folder: folders of certificates in OpenSSL's layout, joined by `os.pathsep`.
    """

    file: str | None = None
    folder: str | None = None

    @property
    def are_usual(self) -> bool:
        """Whether the environment names none."""
        return self.file is None and self.folder is None


def authorities() -> Authorities:
    """Return the authorities that the environment says to trust.

    Raises:
        MirrorError: a variable names something without certificates.
    """
    for name in _BUNDLES:
        if value := os.environ.get(name):
            return _checked(name, *((None, value) if Path(value).is_dir() else (value, None)))
    file, folder = os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None
    if file is None and folder is None:
        return Authorities()
    return _checked("SSL_CERT_FILE" if file else "SSL_CERT_DIR", file, folder)


def _checked(name: str, file: str | None, folder: str | None) -> Authorities:
    missing = folder is not None and not any(Path(each).is_dir() for each in folder.split(os.pathsep))
    try:
        if missing:
            raise FileNotFoundError(2, "no such folder")
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file, folder)
    except OSError as error:  # ssl.SSLError is one
        reason = "no certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
        place = printable(folder if missing else file or folder)
        hint = f"set {name} to a file with certificates (PEM), or unset it"
        raise MirrorError(f"{name}: {place}: {reason}", down=True, hint=hint) from None
    return Authorities(file, folder)
