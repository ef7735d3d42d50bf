"""A form for what an experiment's .ini file says, built from the declared settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets as controls

from recon3d.config.crystal import COMMON_CRYSTALS, HC_KEV_ANGSTROM, Crystal, Six, read_cif
from recon3d.config.declare import Setting, as_text, settings_of
from recon3d.config.experiment import Detector, Experiment
from recon3d.config.ini import quoted, read_ini
from recon3d.config.settings_file import SettingsFile
from recon3d.config.volume import Volume
from recon3d.errors import ParameterError
from recon3d.runtime.atomic import complete_or_absent
from recon3d.widgets.controls.panel import Panel, button, row, text_line, wide_choice

HEADING = "# An experiment, written by the form in the notebook."
OWN = "as written below"
PARTS = {"crystal": Crystal, "detector": Detector, "box of voxels": Volume}


class ExperimentForm(Panel):
    """One field for every key of crystal, detector and volume, and a button that writes them.

    The settings file is to name the .ini file; the experiment that it names already fills the form.
    """

    def __init__(self, settings: SettingsFile) -> None:
        super().__init__(settings)
        folder = settings.path.resolve().parent
        known = settings.read()
        self._kept: dict[str, str] = {}
        if "experiment" in known:
            self._kept = read_ini(folder / known["experiment"])
            self._kept.pop("path", None)  # the settings file says where the results go
        self.fields = {
            key: _field(one, self._kept.get(key, ""))
            for part in PARTS.values()
            for key, one in settings_of(part).items()
        }
        self.crystal = wide_choice("crystal", [OWN, *COMMON_CRYSTALS], OWN)
        self.cif = text_line("or a CIF file", "path of a .cif file", "its cell and its space group")
        self.energy = text_line(
            "or energy (keV)", "a number, in keV", "photon energy, for wavelength"
        )
        self.file = text_line("write to", "name of a file", "an .ini file; it is not replaced")
        self.file.value = str(folder / "experiment.ini")
        self.write_button = button("Write", lambda: self.attempt(self.write), "the .ini file")
        self.children = [self._folded(), self.status]
        self.answer_to(self.crystal, by=self._take_crystal)
        self.answer_to(self.cif, by=self._take_cif)
        self.answer_to(self.energy, by=self._take_energy)
        self.answer_to(*self.fields.values())
        if self._kept:
            self.refresh()

    @property
    def params(self) -> dict[str, str]:
        """The texts of the keys that were filled in, and of those that the form does not show."""
        filled = {key: field.value.strip() for key, field in self.fields.items()}
        others = {key: text for key, text in self._kept.items() if key not in filled}
        return {key: text for key, text in filled.items() if text} | others

    @property
    def value(self) -> Experiment:
        """The experiment as the form has it; a ParameterError if a key is missing or impossible."""
        return Experiment.from_texts(self.params)

    def refresh(self) -> None:
        """Say what the form amounts to, or what is wrong with it."""
        self.write_button.disabled = True
        experiment = self.value
        crystal, volume = experiment.crystal, experiment.volume
        energy = f"{crystal.energy_kev:.6g}"
        if self.energy.value != energy:
            self.energy.value = energy
        voxels = " x ".join(f"{edge:.3g}" for edge in volume.voxel_um)
        self.write_button.disabled = False
        self.tell(
            f"d = {crystal.d_spacing_angstrom:.5g} Å, θ = {crystal.bragg_angle_deg:.3f}° at "
            f"{crystal.energy_kev:.5g} keV; voxels of {voxels} µm"
        )

    def write(self) -> None:
        """Write the .ini file, unless another has its name, and name it in the settings file."""
        assert self.settings is not None
        _, path = self.value, Path(self.file.value).expanduser().resolve()
        if path.exists() and not path.read_text("utf-8", errors="replace").startswith(HEADING):
            raise ParameterError(f"{path} exists, and this form did not write it: name another")
        lines = [HEADING, *(f"{key} {quoted(text)}" for key, text in self.params.items()), ""]
        with complete_or_absent(path) as temporary:
            temporary.write_text("\n".join(lines), encoding="utf-8")
        self.settings.update({"experiment": path})
        self.tell(f"written to {path}, which {self.settings.path.name} names now")

    def _folded(self) -> controls.Accordion:
        """A page for each part of the form, folded where there is an experiment already."""
        pages = []
        for part in PARTS.values():
            lines: list[Any] = [self.crystal, self.cif] if part is Crystal else []
            for key, declared in settings_of(part).items():
                lines.append(row(self.fields[key], _help(declared)))
                if key == "wavelength":
                    lines.append(self.energy)
            pages.append(controls.VBox(lines))
        # A page each, so that what is wrong is seen below the field that was filled in.
        parts = controls.Tab(pages, titles=[*PARTS])
        whole = controls.VBox([parts, row(self.file, self.write_button)])
        return controls.Accordion(
            [whole],
            titles=("the experiment (.ini file)",),
            selected_index=None if self._kept else 0,
        )

    def _take_crystal(self) -> None:
        if self.crystal.value != OWN:
            self._take_cell(*COMMON_CRYSTALS[self.crystal.value])

    def _take_cif(self) -> None:
        if not self.cif.value.strip():
            return
        cell, group = read_cif(self.cif.value.strip())
        self._take_cell(cell, group)
        if group is None:
            self.tell(
                "the CIF file does not give the number of its space group: set sg_no", bad=True
            )

    def _take_cell(self, cell: Six, group: int | None) -> None:
        self.fields["unit_cell"].value = as_text(cell)
        self.fields["sg_no"].value = "" if group is None else str(group)

    def _take_energy(self) -> None:
        energy, wavelength = _number(self.energy.value), self.fields["wavelength"]
        if not energy > 0:
            raise ParameterError(f"energy is '{self.energy.value}': expected keV, above 0, as 17.0")
        known = _number(wavelength.value)
        if not known > 0 or f"{energy:.6g}" != f"{HC_KEV_ANGSTROM / known:.6g}":
            wavelength.value = f"{HC_KEV_ANGSTROM / energy:.8g}"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _field(declared: Setting, text: str) -> Any:
    """The control of one key: a list of its choices, or a line of text."""
    name = f"{declared.key} ({declared.unit})" if declared.unit else declared.key
    if choices := (True, False) if declared.single is bool else declared.choices:
        options = [as_text(choice) for choice in choices]
        usual = "" if declared.default is None else as_text(declared.default)
        value = as_text(declared.parse(text)) if text else usual
        return wide_choice(
            name, options if usual in options else ["", *options], value, declared.help
        )
    usual = "" if declared.required else f" (else {as_text(declared.default)})"
    expected = declared.expected.replace(f", in {declared.unit}", "")  # the label has the unit
    made = text_line(name, expected + usual.replace("None", "none"), declared.help)
    made.value = text
    return made


def _help(declared: Setting) -> controls.HTML:
    return controls.HTML(
        f'<span style="color:#666666">{declared.help}</span>',
        layout=controls.Layout(flex="1 1 300px", margin="0 0 0 12px"),
    )
