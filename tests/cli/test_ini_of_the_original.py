"""Files in the four manners of the original program's .ini, each with a small scan behind it."""

from dataclasses import replace

import pytest

from recon3d.analysis.misorientation import compare_with_truth
from recon3d.cli.main import main
from recon3d.config.experiment import Experiment
from recon3d.files.grain import Grain
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.scan_plan import Steps
from recon3d.simulate.truth import Truth
from recon3d.simulate.writers.edf_scan import simulate_scan

WITH_REMARKS = """\
sg_no  {group}  # Space group
unit_cell  {cell}
hkl  {hkl}
wavelength  0.7085  # 17.5 keV
grain_pos  [0,0,0]
grain_dim  [12.,12.,12.]\t   # smaller: nearer
grain_steps  [16,16,16]\t # voxels
ang_mean  [0,0]
ang_width  [.02,.02]
#image simulation
# ang_steps  [3,3,12]
# ang_types  ["phi_upper","phi_lower","Omega"]
# ang_min  [0,0,-80.]
detx_size  256
detz_size  256
M {scale}\t# pixels per um
t_x  "None"
t_y  0
t_z  0
path  "{path}"  # where the arrays are
format  "edf"
mode "horizontal"
xyz_up [0,0,0]
xyz_lo [0,0,0]
xyz_th [0,0,0]
"""
KEYS_TWICE = """\
sg_no  {group}
unit_cell  {cell}
hkl  {hkl}
wavelength  0.7
grain_pos  [0,0,0]
grain_dim  [7.,7.,7.]
grain_steps  [7,7,7]
ang_steps  [2,2,12]
ang_types  ["phi_upper","phi_lower","Omega"]
ang_max  [.02,.02,80.]
detx_size  24
detz_size  28
M {scale}
t_x  "None"
t_y  0
t_z  0
path  "{path}"
mode "horizontal"
xyz_th [0,0,0]

# another box
grain_dim  [16.,16.,17.]
grain_steps  [16,16,17]
ang_max  [.02,.02,80.] # once more
stem  "../tests/cube"
#completeness_cutoff  0.4
"""
CUBIC = {"group": "225", "cell": "[3.5240,3.5240,3.5240,90.,90.,90.]", "hkl": "[1,1,1]"}
HEXAGONAL = {"group": "167", "cell": "[4.759,4.759,12.99,90.,90.,120.]", "hkl": "[0,0,6]"}


@pytest.mark.parametrize(
    ("text", "values", "frames", "chosen"),
    [
        (WITH_REMARKS, CUBIC | {"scale": "3.57"}, (44, 40), ("20,22", "40,44", "4", "12")),
        (WITH_REMARKS, CUBIC | {"scale": "3.57"}, (44, 40), ("-", "-", "-", "-")),
        (WITH_REMARKS, HEXAGONAL | {"scale": "3.3"}, (42, 46), ("23,21", "46,42", "4", "12")),
        (KEYS_TWICE, CUBIC | {"scale": "1."}, (28, 24), ("12,14", "24,28", "3", "12")),
    ],
    ids=["with remarks", "nothing chosen", "hexagonal", "keys twice"],
)
def test_the_scan_behind_it_is_reconstructed(tmp_path, capsys, text, values, frames, chosen):
    ini = tmp_path / "test.ini"
    ini.write_text(text.format(path=tmp_path / "Rec_test", **values), "ascii")
    experiment = Experiment.from_ini(ini)
    scale = experiment.detector.magnification_pix_per_um
    plan = replace(
        demo_plan(),
        crystal=experiment.crystal,
        magnification_pix_per_um=scale,
        rows=frames[0],
        cols=frames[1],
        omega_deg=tuple(range(0, 180, 15)),
        mu=Steps(0.08, 5),
        gamma=Steps(0.08, 5),
        axis_offset_pix=0.3,
    )
    size_um = experiment.volume.size_um[0] * 0.6
    phantom = make_phantom("subgrains", size_um=size_um, spread_deg=0.04, seed=2)
    data = tmp_path / "topo"
    simulate_scan(data, phantom, plan, voxels=16, prefix="frelon_", show_progress=False)
    poi, size, framebg, binth = chosen
    words = ["getdata", data, "frelon_", "-", "-", poi, size, tmp_path, "Rec_test", -3.5, 1.2]
    words += ["0.04", "5", framebg, binth, "--quiet", "--min-region", "6", "--arrays", "none"]
    assert main([str(word) for word in words]) == 0
    assert main(["reconstruct", str(ini), "--quiet"]) == 0
    assert "error" not in capsys.readouterr().err
    grain = Grain.load(tmp_path / "Rec_test" / "grain.h5")
    assert grain.volume == experiment.volume
    truth = Truth.load(data / "truth.h5").sample_on(grain.volume)
    found = compare_with_truth(grain, truth.inside, truth.a_deg, truth.b_deg)
    assert not [doubt for doubt in grain.doubts if "dark" in doubt or "set aside" in doubt]
    assert found.dice > 0.8  # of some 130 voxels, nearly all of them rim
    assert found.median_mdeg < 6
