"""What is installed, and with which versions."""

import re
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_only_the_library_is_in_the_wheel(tmp_path):
    """A top-level `tasks` in site-packages would collide with every project that has a tasks.py."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"mixer_tf", "mixer_tf-0.1.0.dist-info"}
    assert "mixer_tf/backbones/mlp_mixer.py" in names
    texts = {f"mixer_tf/data/sentences/{name}" for name in ("english.txt", "japanese.txt", "wagahai.txt", "README.md")}
    assert texts <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_every_dependency_has_its_tested_version_in_the_constraints():
    """All that the environment of the tests holds; the extras of parts to come have no tested version yet."""
    requirements = [re.split(r"[>=<;\[ ]", text)[0] for text in metadata.requires("mixer-tf") if not untested(text)]
    names = set(requirements) - {"mixer-tf"}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    assert {"keras", "tensorflow", "pytest"} <= names
    assert {name.lower().replace("_", "-") for name in names} <= pinned


def untested(requirement):
    return re.search(r"extra == .(detection|serving|demo|all).", requirement)


def test_constraints_hold_names_and_versions_only():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r'#.*|[\w.-]+==[\w.]+( ; python_version (>=|<) "3\.\d+")?', line), line
