"""Files of `key value` lines."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from recon3d.errors import ParameterError

log = logging.getLogger(__name__)

_QUOTED = re.compile(r"""(["'])(.*?)\1\s*(?:#.*)?$""")
_COMMENT = re.compile(r"(^|\s)#.*$")
_LINE = re.compile(r"([^\s=:]+)\s*[=:\s]\s*(.*)$")
_HEADING = re.compile(r"\[[^\]]*\]")
_INVISIBLE = "\ufeff\u200b\u2060"
_TYPOGRAPHIC = {"“”„": '"', "‘’‚": "'"}
"""Quotes as word processors write them, and what they stand for."""
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")


def read_ini(path: str | Path) -> dict[str, str]:
    """Read a file of `key value` lines: the text of every value by its key, without quotes.

    A `#` at the start of a line or after white space begins a comment, but not inside quotes; lines
    that begin with `;`, and `[headings]`, are passed over. `=` or `:` may part key and value; of
    repeated keys the last wins. The text may be UTF-8, UTF-16 or Latin-1.
    """
    path = Path(path)
    try:
        text = _decode(path.read_bytes())
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path}: is not a text file ({error.reason})") from error
    values: dict[str, str] = {}
    lines = re.split(r"\r\n|\r|\n", text)
    for number, line in enumerate(lines, start=1):
        if _UNPRINTABLE.search(line):
            raise ParameterError(f"{path}, line {number}: is not text: {line[:40]!r}")
    for number, line in enumerate(lines, start=1):
        content = line.strip().lstrip(_INVISIBLE)
        if not content or content.startswith(("#", ";")) or _HEADING.fullmatch(content):
            continue
        found = _LINE.match(content)
        key, value = found.groups() if found else (content, "")
        for marks, mark in _TYPOGRAPHIC.items():
            if value.startswith(tuple(marks)):
                value = re.sub(f"[{marks}]", mark, value)
        quoted = _QUOTED.match(value)
        plain = _COMMENT.sub("", value).strip()
        if not quoted and (not plain or plain[0] in "\"'"):
            what = f"a quote that is not closed: {plain}" if plain else "no value"
            raise ParameterError(f"{path}, line {number}: the key '{key}' has {what}")
        text = quoted[2] if quoted else plain
        if values.get(key, text) != text:
            log.info(
                "%s, line %d: the key '%s' is given again: '%s' is used", path, number, key, text
            )
        values[key] = text
    return values


def quoted(text: str) -> str:
    """The text of a value as a line of a file holds it: in quotes where it needs them."""
    if "\n" in text or "\r" in text:
        raise ParameterError(f"{text!r} cannot stand in a settings file: it has a line end")
    special = ("'", '"', "=", ":", *"".join(_TYPOGRAPHIC))
    plain = text and text == text.strip() and not _COMMENT.search(text)
    if plain and not text.startswith(special):
        return text
    for mark in "\"'":
        if mark not in text:
            return f"{mark}{text}{mark}"
    raise ParameterError(f"{text!r} cannot stand in a settings file: it has both kinds of quotes")


def _decode(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    if data[1::2].count(0) > len(data) / 4:
        return data.decode("utf-16-le")
    if data[::2].count(0) > len(data) / 4:
        return data.decode("utf-16-be")
    try:
        return data.decode("utf-8").lstrip(_INVISIBLE)
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
