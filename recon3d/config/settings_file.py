"""The settings file: what was chosen in the notebooks, for `getdata` and `reconstruct` alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recon3d.config.declare import (
    Setting,
    as_text,
    parse_texts,
    setting,
    settings_of,
    warn_of_unknown,
)
from recon3d.config.experiment import INI_KEYS, Experiment
from recon3d.config.getdata import GETDATA_KEYS, PATHS, GetData
from recon3d.config.ini import quoted, read_ini
from recon3d.errors import ParameterError
from recon3d.runtime.atomic import complete_or_absent


@dataclass(frozen=True)
class OfFile:
    """Keys of a settings file alone."""

    experiment: str | None = setting(
        None, "the .ini file with the unit cell, hkl, the wavelength, M and the volume"
    )
    memory_gib: float = setting(
        8.0,
        "what the orientation distributions may take",
        unit="GiB",
        bounds="> 0",
        option="--memory",
        metavar="GIB",
    )


KEYS: dict[str, Setting] = settings_of(OfFile) | GETDATA_KEYS | INI_KEYS
"""Every key that a settings file may have, in the order in which it lists them."""

_HEADING = "# Settings of one scan, for `recon3d getdata` and `recon3d reconstruct`."


@dataclass(frozen=True)
class SettingsFile:
    """One small file of `key value` lines with everything that was chosen for a scan.

    It takes the keys of `getdata`, of an experiment's .ini file, which it overrules, and of
    `OfFile`. Relative paths in it count from its folder. It need not exist yet.
    """

    path: Path

    def read(self) -> dict[str, str]:
        """The text of every value by its key; none where there is no file yet.

        A warning names the nearest known key of one that is not known.
        """
        if not self.path.exists():
            return {}
        texts = read_ini(self.path)
        warn_of_unknown([key for key in texts if key not in KEYS], KEYS, self.path)
        return {key: text for key, text in texts.items() if key in KEYS}

    def update(self, values: Mapping[str, Any], *, forget: Iterable[str] = ()) -> None:
        """Change some values, and leave all others as they are; an unknown key is a ParameterError.

        `values`: new values by their keys; None stands for "find it from the data", or for nothing.
        """
        unknown = set(values) - set(KEYS)
        if unknown:
            raise ParameterError(f"{', '.join(sorted(unknown))}: no key of a settings file")
        known = {key: text for key, text in self.read().items() if key not in set(forget)}
        kept = known | {key: as_text(value) for key, value in values.items()}
        lines = [f"{key} {quoted(kept[key])}" for key in KEYS if key in kept]
        text = "\n".join([_HEADING, *lines, ""])
        if self.path.exists() and self.path.read_text(encoding="utf-8") == text:
            return
        with complete_or_absent(self.path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def getdata_texts(self) -> dict[str, str]:
        """What the file says to `getdata`, with paths that hold from any folder."""
        texts = {key: text for key, text in self.read().items() if key in GETDATA_KEYS}
        for key in set(PATHS) & set(texts):
            if texts[key] not in ("-", "None", "none"):
                texts[key] = str(self._from_here(texts[key]))
        return {"outputpath": str(self._from_here("."))} | texts if texts else texts

    def getdata(self) -> GetData:
        """What the file says to `getdata`; a ParameterError if not where the frames are."""
        try:
            return GetData.from_texts(self.getdata_texts())
        except ParameterError as error:
            raise ParameterError(f"{self.path}: {error}") from error

    def experiment_texts(self) -> dict[str, str]:
        """The keys that overrule those of an .ini file, `path` among them."""
        texts = self.read()
        chosen = {key: text for key, text in texts.items() if key in INI_KEYS}
        if "path" in chosen:
            chosen["path"] = str(self._from_here(chosen["path"]))
        elif "outputdirname" in texts:
            folder = Path(texts.get("outputpath", ".")) / texts["outputdirname"]
            chosen["path"] = str(self._from_here(str(folder)))
        return chosen

    def experiment(self, ini: str | Path | None = None) -> Experiment:
        """The experiment of an .ini file, with what the settings file overrules.

        `ini`: the .ini file; the one that the key `experiment` names where None.
        """
        texts = self.read()
        if ini is None and "experiment" not in texts:
            raise ParameterError(
                f"{self.path}: the key 'experiment' is missing: name the .ini file that holds the "
                "unit cell, hkl, the wavelength, M and the volume"
            )
        chosen = self._from_here(texts["experiment"]) if ini is None else Path(ini)
        return Experiment.from_ini(chosen, self.experiment_texts())

    def memory_gib(self) -> float:
        """What the orientation distributions may take, in GiB."""
        try:
            return OfFile(**parse_texts(OfFile, self.read())).memory_gib
        except ParameterError as error:
            raise ParameterError(f"{self.path}: {error}") from error

    def _from_here(self, path: str) -> Path:
        return (self.path.resolve().parent / Path(path).expanduser()).resolve()


def ini_beside(data: Path, settings: Path) -> Path | None:
    """The one .ini file, but the settings file, in the folder of the frames or beside it; or None.

    `data`: the folder, or the HDF5 file, of the frames.
    """
    own = settings.resolve()
    for folder in (data if data.is_dir() else data.parent, data.parent):
        found = [path for path in sorted(folder.glob("*.ini")) if path.resolve() != own]
        if len(found) == 1:
            return found[0]
    return None
