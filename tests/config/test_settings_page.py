"""The page of all keys is what the declarations say."""

from __future__ import annotations

import re
import runpy


def test_the_page_of_settings_is_that_of_the_declarations(repository):
    written = runpy.run_path(str(repository / "docs" / "write_settings.py"))
    page = (repository / "docs" / "settings.md").read_text("utf-8")
    assert page == written["page"](), "run python docs/write_settings.py"


def test_every_key_that_the_readme_shows_is_on_the_page(repository):
    page = (repository / "docs" / "settings.md").read_text("utf-8")
    keys = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert {"M", "grain_steps", "orientation_matrix", "BINTH", "min_region", "memory_gib"} <= keys
    readme = (repository / "README.md").read_text("utf-8")
    (example,) = re.findall(r"^```ini\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert {line.split()[0] for line in example.splitlines()} <= keys
