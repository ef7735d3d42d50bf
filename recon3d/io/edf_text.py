"""What the text of an EDF header must say for its image to be read."""

from __future__ import annotations

from recon3d.errors import DataError

UNUSUAL = "write it anew as a plain EDF file"
_LARGEST_DIM = 1 << 20
_BYTE_ORDERS = ("LowByteFirst", "HighByteFirst")


def refuse_odd_numbers(text: dict[str, str]) -> None:
    """Refuse a header without a plausible number of pixels, their type or their byte order."""
    for name in ("dim_1", "dim_2"):
        value = text.get(name, "")
        if not (value.isascii() and value.isdigit() and 0 < int(value[:20]) < _LARGEST_DIM):
            raise DataError(f"has {name.capitalize()} = '{value[:20]}', no number of pixels")
    order = text.get("byteorder", "LowByteFirst")
    if order not in _BYTE_ORDERS:
        raise DataError(f"has ByteOrder = '{order[:20]}': expected {' or '.join(_BYTE_ORDERS)}")
    if not text.get("datatype"):
        raise DataError("does not name the DataType of its pixels")


def refuse_unusual(text: dict[str, str]) -> None:
    """Refuse images that are compressed, or in another file."""
    if not text.get("compression", "none").lower().startswith("no"):
        raise DataError(f"is compressed inside ({text['compression']}); {UNUSUAL}")
    if "edf_binaryfilename" in text:
        raise DataError(f"keeps its image in {text['edf_binaryfilename']}; {UNUSUAL}")
