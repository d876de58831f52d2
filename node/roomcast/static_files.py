"""Which file a URL path means, by the application's ``static_files`` mapping (python-socketio's rules, made safe).

No I/O here: whether a file exists is asked through ``is_file``, and whoever serves reads it.

* A key of the mapping is a URL path; its value a file or folder name, or ``{"filename": …, "content_type": …}``.
* The whole path first; else the longest parent, with or without a slash at its end, whose rest is appended to the
  file name.
* A result that ends in a slash gets the default file: the entry with key ``""``, or ``index.html``.
* What could lead out of the folder is refused, decoded or not: a path that a browser would never send is nobody's file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from os.path import isfile
from urllib.parse import unquote

import msgspec

# What stands behind a key: a name, or a dict with "filename" and perhaps "content_type".
Entry = str | Mapping[str, str]

CONTENT_TYPES = {
    "css": "text/css",
    "gif": "image/gif",
    "html": "text/html",
    "jpg": "image/jpeg",
    "js": "application/javascript",
    "json": "application/json",
    "png": "image/png",
    "txt": "text/plain",
}
UNKNOWN_CONTENT = "application/octet-stream"

DEFAULT_FILE = "index.html"

# A path is decoded until nothing changes, at most so often; one that still changes then is meant to deceive.
MAX_DECODINGS = 3

# Control characters (NUL ends a name in C), and what separates folders on Windows.
_DECEPTIVE = re.compile(r"[\x00-\x1f\x7f\\]")


class StaticFile(msgspec.Struct, frozen=True):
    """A file that exists, and what to call its contents."""

    filename: str
    content_type: str

    def headers(self, size: int) -> tuple[tuple[bytes, bytes], ...]:
        """Of the answer that carries its ``size`` bytes."""
        return (
            (b"content-type", self.content_type.encode("latin-1")),
            (b"content-length", b"%d" % size),
            (b"x-content-type-options", b"nosniff"),
        )


def resolve(path: str, mapping: Mapping[str, Entry], is_file: Callable[[str], bool] = isfile) -> StaticFile | None:
    """The file that ``path`` (already percent-decoded once, as servers hand it over) means, or None for no file.

    Never raises for any ``path``; ``is_file`` is called at most once, with a name that lies below one of the mapping's.
    """
    found = _entry(path, mapping)
    if found is None:
        return None
    entry, rest = found
    if not is_harmless(rest):
        return None
    filename, content_type = _parts(entry)
    filename = _below(filename, rest)
    if filename.endswith("/"):
        default, default_type = _parts(mapping.get("", DEFAULT_FILE))
        filename += default
        content_type = default_type or content_type
    if not is_file(filename):
        return None
    return StaticFile(filename, content_type or content_type_of(filename))


def content_type_of(filename: str) -> str:
    """By the extension, in any case of letters."""
    _, dot, extension = filename.rpartition(".")
    return CONTENT_TYPES.get(extension.lower(), UNKNOWN_CONTENT) if dot else UNKNOWN_CONTENT


def is_harmless(rest: str) -> bool:
    """Whether ``rest``, appended to a folder's name, stays below it, however often somebody decodes it."""
    for _ in range(MAX_DECODINGS):
        if _DECEPTIVE.search(rest) or ".." in rest.split("/") or "//" in rest:
            return False
        decoded = unquote(rest, errors="replace")
        if decoded == rest:
            return True
        rest = decoded
    return False


def _entry(path: str, mapping: Mapping[str, Entry]) -> tuple[Entry, str] | None:
    """The entry for ``path``, and what is to be appended to its file name: nothing, or what begins with a slash."""
    if path in mapping and path:
        return mapping[path], ""
    parent, rest = path, ""
    while parent:
        parent, slash, last = parent.rpartition("/")
        rest = slash + last + rest
        if parent and parent in mapping:
            return mapping[parent], rest
        if slash and parent + "/" in mapping:
            return mapping[parent + "/"], rest
    return None


def _below(filename: str, rest: str) -> str:
    """``rest`` below the folder ``filename``, which may end in a slash; no name at all is the current folder."""
    return (filename or ".").removesuffix("/") + rest if rest else filename


def _parts(entry: Entry) -> tuple[str, str | None]:
    if isinstance(entry, str):
        return entry, None
    return entry["filename"], entry.get("content_type")
