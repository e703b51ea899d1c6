"""The house's direction of imports, and what `import mixer_tf` costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "mixer_tf").rglob("*.py"))

LOWER = {  # folder -> folders of the package that it may import
    "layers": {"layers", "fused", "checks"},
    "backbones": {"backbones", "layers", "keras_fixes", "checks"},
    "heads": {"heads", "backbones", "layers", "keras_fixes", "suppression", "checks"},
    "data": {"data", "checks"},
    "weights": {"weights", "layers", "data", "checks"},
    "export": {"export", "heads", "data", "checks"},
}
KERAS_ONLY = {"layers", "backbones", "heads", "weights"}
FORBIDDEN = {"tasks", "apps", "tests", "gradio", "torch", "jax", "argparse"}


def imports(path):
    """Every module that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_only_what_stands_below_it(path):
    folder = path.relative_to(ROOT / "mixer_tf").parts[0]
    for name in imports(path):
        top, *rest = name.split(".")
        assert top not in FORBIDDEN, name
        if top == "mixer_tf" and rest and folder in LOWER:
            assert rest[0] in LOWER[folder], name
        if folder in KERAS_ONLY:
            assert top != "tensorflow", name


def test_private_keras_names_stand_in_one_file():
    users = [path.name for path in MODULES if any(name.startswith("keras.src") for name in imports(path))]
    assert set(users) <= {"keras_fixes.py"}


def test_importing_the_package_imports_nothing_heavy():
    """Beyond what Keras itself imports: 3.15 takes scikit-learn and matplotlib along where they are installed."""
    code = "import sys, keras; keras_own = set(sys.modules); import mixer_tf; print(*set(sys.modules) - keras_own)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "mixer_tf.backbones" in modules
    assert not {"tensorflow_datasets", "keras_cv", "gradio", "sklearn", "matplotlib", "PIL"} & set(modules)
