"""What the text of an EDF header must say for its image to be read."""

from __future__ import annotations

from recon3d.errors import DataError

UNUSUAL = "write it anew as a plain EDF file"
_LARGEST_DIM = 1 << 20


def refuse_odd_numbers(text: dict[str, str]) -> None:
    """Refuse a header without a plausible number of pixels, or without their type."""
    for name in ("dim_1", "dim_2"):
        value = text.get(name, "")
        if not (value.isascii() and value.isdigit() and 0 < int(value[:20]) < _LARGEST_DIM):
            raise DataError(f"has {name.capitalize()} = '{value[:20]}', no number of pixels")
    if not text.get("datatype"):
        raise DataError("does not name the DataType of its pixels")


def refuse_unusual(text: dict[str, str]) -> None:
    """Refuse images that are compressed, or in another file."""
    if not text.get("compression", "none").lower().startswith("no"):
        raise DataError(f"is compressed inside ({text['compression']}); {UNUSUAL}")
    if "edf_binaryfilename" in text:
        raise DataError(f"keeps its image in {text['edf_binaryfilename']}; {UNUSUAL}")
