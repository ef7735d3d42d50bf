"""The files around the package agree with each other and with the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import recon3d
from recon3d.config.experiment import Experiment

CONDA_NAMES = {"napari": ("napari", "pyqt")}
"""Packages that conda-forge calls or splits otherwise: PyPI's extra napari[pyqt6] is a
package of its own there."""
MODULES = {
    "mpl_toolkits": "matplotlib",
    "imageio_ffmpeg": "imageio-ffmpeg",
    "IPython": "ipython",
    "PIL": "pillow",
    "lazy_loader": "lazy-loader",
}
"""Modules that come with a distribution of another name."""


@pytest.fixture
def project(repository):
    with (repository / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["project"]


@pytest.fixture
def readme(repository):
    return (repository / "README.md").read_text("utf-8")


def requirements(texts):
    parsed = [Requirement(text) for text in texts]
    return {requirement.name: requirement for requirement in parsed}


def blocks(readme, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)


def everything(project):
    texts = list(project["dependencies"])
    for name, extra in project["optional-dependencies"].items():
        if name != "all":
            texts += extra
    return requirements(texts)


def test_every_dependency_has_a_lower_bound(project):
    for name, requirement in everything(project).items():
        assert any(part.operator == ">=" for part in requirement.specifier), name


def test_the_extra_all_holds_every_extra(project):
    extras = project["optional-dependencies"]
    (everything_else,) = requirements(extras["all"]).values()
    assert everything_else.name == "recon3d"
    assert everything_else.extras == set(extras) - {"all"}


def test_the_conda_environment_names_the_same_packages_and_bounds(project, repository):
    environment = yaml.safe_load((repository / "environment.yml").read_text("utf-8"))
    conda = requirements(environment["dependencies"])
    assert str(conda.pop("python").specifier) == project["requires-python"]
    del conda["pip"]
    expected = everything(project)
    names = {name: CONDA_NAMES.get(name, (name,)) for name in expected}
    assert set(conda) == {conda_name for several in names.values() for conda_name in several}
    for name, (conda_name, *_) in names.items():
        assert conda[conda_name].specifier == expected[name].specifier, name


def third_party_imports(repository):
    found = set()
    for path in (repository / "recon3d").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    names = found - set(sys.stdlib_module_names) - {"recon3d"}
    # The one package that is imported under another name than its own.
    return {
        "scikit-image" if name == "skimage" else name
        for name in {MODULES.get(name, name) for name in names}
    }


def test_what_is_imported_is_declared_and_the_other_way_round(project, repository):
    imported = third_party_imports(repository)
    core = set(requirements(project["dependencies"]))
    assert core - imported == set(), "declared, and imported nowhere"
    assert imported - set(everything(project)) == set(), "imported, and declared nowhere"


def test_the_script_and_the_module_start_the_same_command(project, repository):
    module, _, name = project["scripts"]["recon3d"].partition(":")
    assert callable(getattr(import_module(module), name))
    command = [sys.executable, "-m", "recon3d", "--version"]
    printed = subprocess.run(
        command, cwd=repository, check=True, capture_output=True, text=True, timeout=60
    )
    assert printed.stdout.split() == ["recon3d", recon3d.__version__]


def test_one_version(repository):
    citation = yaml.safe_load((repository / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == recon3d.__version__
    assert str(Version(recon3d.__version__)) == recon3d.__version__
    changes = (repository / "CHANGELOG.md").read_text("utf-8")
    releases = [Version(found) for found in re.findall(r"^## \[([\d.]+)\]", changes, re.MULTILINE)]
    assert releases[0] == Version(recon3d.__version__)
    assert releases == sorted(releases, reverse=True)


def test_the_package_says_that_it_is_typed(repository):
    assert (repository / "recon3d" / "py.typed").is_file()


def test_the_hooks_use_the_linter_of_the_checks(project, repository):
    hooks = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text("utf-8"))
    (revision,) = (repo["rev"] for repo in hooks["repos"] if "ruff" in repo["repo"])
    ruff = requirements(project["optional-dependencies"]["test"])["ruff"]
    assert revision.removeprefix("v") in ruff.specifier


def test_the_checks_run_the_test_command_of_the_readme(repository, readme):
    script = (repository / ".ci" / "run").read_text("utf-8")
    (pattern,) = re.findall(r"grep -m 1 -E '(.*)' README\.md", script)
    found = re.findall(pattern, readme, re.MULTILINE)
    assert found == ['python -m pip install ".[all]" && python -m pytest']
    assert f"{found[0]}\n" in blocks(readme, "sh")
    assert 'eval "$test_command"' in script
    subprocess.run(["bash", "-n", repository / ".ci" / "run"], check=True)


def test_the_readme_installs_and_demonstrates_in_one_line(readme):
    assert "python -m pip install . && recon3d demo\n" in blocks(readme, "sh")


def test_the_commands_of_the_readme_are_those_of_the_parser(readme):
    from recon3d.cli.main import build_parser

    lines = [line for block in blocks(readme, "sh") for line in block.splitlines()]
    calls = [line.split(" && ")[-1].split() for line in lines if "recon3d " in line]
    calls = [call[1:] for call in calls if call[0] == "recon3d"]
    assert {call[0] for call in calls} >= {"demo", "getdata", "reconstruct", "view", "notebooks"}
    for call in calls:
        build_parser().parse_args(call)
    listed = set(re.findall(r"^\| `recon3d (\w+)", readme, re.MULTILINE))
    assert listed == set(re.findall(r"^    (\w+)", build_parser().format_help(), re.MULTILINE))


def test_the_experiment_of_the_readme_is_valid(readme, tmp_path):
    (text,) = blocks(readme, "ini")
    path = tmp_path / "al.ini"
    path.write_text(text, "utf-8")
    experiment = Experiment.from_ini(path)
    assert experiment.crystal.bragg_angle_deg == pytest.approx(10.376, abs=1e-3)
    assert experiment.path == tmp_path / "out/al"


def test_the_python_of_the_readme_uses_public_names(readme):
    (text,) = blocks(readme, "python")
    tree = ast.parse(text)
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "r3"
    }
    assert len(used) == 5
    assert used <= set(dir(recon3d))


LINK = re.compile(r"(?<!!)\]\(([^)\s]+)\)")
BUILT = ("api.md", "notebooks/")
"""Pages that the documentation makes of the package and of the notebooks."""


def anchors(page: Path) -> set[str]:
    """Names of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


def test_every_link_of_the_pages_leads_somewhere(repository):
    pages = [*repository.glob("*.md"), *(repository / "docs").glob("*.md")]
    found = [(page, link) for page in pages for link in LINK.findall(page.read_text("utf-8"))]
    assert len(found) > 40
    for page, link in found:
        path, _, anchor = link.partition("#")
        url = urlsplit(link)
        if url.scheme:
            assert url.scheme == "https", f"{page.name}: {link}"
            assert "." in (url.hostname or ""), f"{page.name}: {link}"
        elif not path.startswith(BUILT):
            target = page.parent / path if path else page
            assert target.exists(), f"{page.name}: {link}"
            assert not anchor or anchor in anchors(target), f"{page.name}: {link}"
