"""Write docs/settings.md: every key, made from the declarations in recon3d/config.

Run it after a change of them; tests/config/test_settings_page.py tells when it is due.
"""

from __future__ import annotations

from pathlib import Path

from recon3d.config.cleaning import Cleaning
from recon3d.config.crystal import Crystal
from recon3d.config.declare import Setting, settings_of
from recon3d.config.experiment import WITHOUT_EFFECT, Detector, Experiment, NotModelled
from recon3d.config.getdata import POSITIONAL, GetData
from recon3d.config.reconstruction import Settings
from recon3d.config.settings_file import OfFile
from recon3d.config.volume import Volume

PAGE = Path(__file__).parent / "settings.md"

INTRODUCTION = """# Settings

`recon3d COMMAND --help` explains every argument. The .ini file of `reconstruct` holds `key
value` lines (`key = value` and `key: value` are read too), and so does `choices.ini`, the
settings file of the notebooks. `#` begins a comment, but not inside quotes: a folder `grain #1`
is written `path "grain #1"`. Quotes, single or double, are taken off any value first; what is
then `None` is not given. Of repeated keys the last one counts. A file may be UTF-8, UTF-16 or
Latin-1. In Python every key is a field of one of `r3.Crystal`, `r3.Detector`, `r3.Volume`,
`r3.Settings` and `r3.Cleaning`, by the name in the last column.
"""

HEAD = "| key | what it is | expected | default | in Python |\n| --- | --- | --- | --- | --- |"

TABLES = (
    ("The crystal", "", Crystal),
    ("The detector", "", Detector),
    ("The volume", "", Volume),
    ("The reconstruction", "What is found from the data where it is not given says so.", Settings),
    ("Where the scan is", "", Experiment),
    (
        "Without effect",
        "Keys of the original Recon3D that are known and change nothing: "
        f"{', '.join(f'`{key}`' for key in WITHOUT_EFFECT)}, and these, which are checked:",
        NotModelled,
    ),
    (
        "Reading a scan: getdata",
        "In capitals the arguments that have a place; in a settings file keys are in lower case.",
        GetData,
    ),
    ("Cleaning: getdata", "", Cleaning),
    (
        "Of the settings file alone",
        "Beside these it takes every key above, and overrules the .ini file that it names.",
        OfFile,
    ),
)


def page() -> str:
    """The text of the page."""
    parts = [INTRODUCTION]
    for title, text, declared in TABLES:
        rows = [row(one) for one in settings_of(declared).values()]
        parts.append("\n".join([f"## {title}", "", *([text, ""] if text else []), HEAD, *rows, ""]))
    return "\n".join(parts)


def row(declared: Setting) -> str:
    """One key as a row of a table."""
    key = declared.key.upper() if declared.key in POSITIONAL else declared.key
    option = f", `{declared.option}`" if declared.option else ""
    default = "must be given"
    if not declared.required:
        unset = declared.default in (None, ()) and not declared.words
        default = "" if unset else declared.text(declared.default)
    cells = (f"`{key}`{option}", declared.help, declared.expected, default, f"`{declared.name}`")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
