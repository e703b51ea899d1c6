"""Write the tables of the README from the code: all backbones, and the runs that were measured.

    python tasks/model_table.py            # rewrite README.md
    python tasks/model_table.py --check    # exit code 1 when README.md does not say what the code says

Papers come from the docstrings of `mixer_tf/backbones/`, parameters and multiply-adds from the models themselves (with
a head for 1,000 classes, or the heads of the paper for models of text and EANet), published accuracies from
`tasks/published.csv`, runs from the docstrings of `tasks/recipes/`. Models are built without values, so even the
largest take no memory.
"""

import argparse
import csv
import multiprocessing
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import keras

import mixer_tf as mt
from mixer_tf.analysis.size import count_multiply_adds, count_parameters
from mixer_tf.backbones import ARCHITECTURES

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PUBLISHED = ROOT / "tasks" / "published.csv"
RECIPES = ROOT / "tasks" / "recipes"

COLUMNS = (
    *("backbone", "paper", "reads", "parameters", "multiply-adds"),
    *("stride", "levels", "top-1, reported", "weights"),
)

PAPER = re.compile(
    r"(?P<authors>[A-Z][\w-]+( et al\.| and [A-Z][\w-]+)?) (?P<year>20\d\d)([.,] arXiv (?P<arxiv>\d{4}\.\d{4,5}))?"
)
GUESSED = re.compile(
    r"(?P<loss>[\d.]+) nats.*?possible: (?P<best>[\d.]+), without looking:\s+(?P<marginal>[\d.]+)\), "
    r"(?P<parameters>[\d,]+)\s+parameters,\s+(?P<time>[\d,]+ s)\s+of\s+training",
    re.DOTALL,
)
MEASURED = re.compile(
    r"(?P<accuracy>[\d.]+ %) of .*?, (?P<parameters>[\d,]+)\s+parameters,\s+(?P<time>[\d,]+ s)\s+of\s+training",
    re.DOTALL,
)

DETECTED = re.compile(
    r"AP (?P<ap>[\d.]+), AP50 (?P<ap50>[\d.]+) on .*?, (?P<parameters>[\d,]+)\s+parameters,\s+"
    r"(?P<time>[\d,]+ s)\s+of\s+training",
    re.DOTALL,
)


def main(arguments: argparse.Namespace) -> int:
    """Write or compare the tables; the exit code."""
    old = README.read_text(encoding="utf-8")
    new = old
    tables = {
        "models": model_table(),
        "runs": run_table(),
        "masked runs": masked_run_table(),
        "detection runs": detection_run_table(),
    }
    for name, table in tables.items():
        new = with_table(new, name, table)
    if arguments.check:
        print(
            "README.md says what the code says" if new == old else "README.md is old: run python tasks/model_table.py"
        )
        return int(new != old)
    README.write_text(new, encoding="utf-8")
    print(f"written to {README}")
    return 0


def with_table(text: str, name: str, table: str) -> str:
    """The text with another table between `<!-- name -->` and `<!-- end -->`."""
    start = text.index(f"<!-- {name} -->") + len(f"<!-- {name} -->")
    return f"{text[:start]}\n{table}\n{text[text.index('<!-- end -->', start) :]}"


def model_table() -> str:
    """One row for every backbone, in the order of the story."""
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:  # most of the time is Python's
        return markdown(COLUMNS, list(pool.map(model_row, mt.list_backbones())))


def model_row(name: str) -> tuple[str, ...]:
    """The cells of one backbone."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        published = {row["backbone"]: row for row in csv.DictReader(file)}.get(name, {})
    builder = next(builder for builder, variants in ARCHITECTURES.values() if name in variants)
    docstring = " ".join((sys.modules[builder.__module__].__doc__ or "").split())
    paper = PAPER.search(published.get("paper") or docstring)
    if paper is None:
        raise ValueError(f"{builder.__module__} must name authors and year in its docstring; given: none")
    link = f"{paper['authors']} {paper['year']}"
    link = f"[{link}](https://arxiv.org/abs/{paper['arxiv']})" if paper["arxiv"] else link
    top1 = f"{published['top1']} ({published['source']})" if published.get("top1") else "-"
    cells = (link, *measured(name, int(published.get("image_size") or 224)), top1)
    return f"`{name}`", *cells, published.get("weights") or "-"


def measured(name: str, side: int) -> tuple[str, ...]:
    """What goes in, parameters, multiply-adds, stride and pyramid levels of a backbone."""
    with keras.StatelessScope():  # weights have shapes here, but no values
        if name in mt.list_backbones(reads="image"):
            backbone, reads = mt.create_backbone(name, (side, side, 3)), f"{side} px"
            stride = str(round(side / backbone.output.shape[1]))
        else:
            tokens = 1024 if name.startswith("gpt2") else 128
            backbone, reads, stride = mt.create_backbone(name, sequence_length=tokens), f"{tokens:,} tokens", "-"
        levels = [layer.name for layer in backbone.layers if re.fullmatch(r"P\d", layer.name)]
        model = with_head(backbone)
        figures = f"{count_parameters(model):,}", f"{count_multiply_adds(model) / 1e9:.2f} G"
        keras.backend.clear_session()
    return reads, *figures, stride, " ".join(levels) or "-"


def with_head(backbone: keras.Model) -> keras.Model:
    """The model whose size its paper gives."""
    if backbone.name.startswith("dinov2"):
        return backbone  # published without a head
    if backbone.name in mt.list_backbones(reads="image"):
        is_segmenter = backbone.name.startswith("eanet")
        return mt.segmenter(backbone, 21) if is_segmenter else mt.classifier(backbone, 1000)
    if backbone.name.startswith("gpt2"):
        return mt.causal_language_model(backbone)
    return mt.masked_language_model(backbone, next_sentence=backbone.name.startswith("bert"))


def run_table() -> str:
    """One row for every recipe whose docstring says what was measured."""
    rows: list[tuple[str, ...]] = []
    for path in sorted(RECIPES.glob("*.py")):
        docstring = path.read_text(encoding="utf-8").split('"""')[1]
        if run := MEASURED.search(docstring):
            what = docstring.splitlines()[0].rstrip(".:")
            rows.append((f"`{path.stem}`", what, run["parameters"], run["accuracy"], run["time"]))
    return markdown(("recipe", "what", "parameters", "accuracy", "training time"), rows)


def masked_run_table() -> str:
    """One row for every recipe whose docstring says how well hidden or next tokens of a known source are guessed."""
    rows: list[tuple[str, ...]] = []
    for path in sorted(RECIPES.glob("*.py")):
        docstring = path.read_text(encoding="utf-8").split('"""')[1]
        if run := GUESSED.search(" ".join(docstring.split())):
            rows.append((f"`{path.stem}`", *run.group("parameters", "loss", "best", "marginal", "time")))
    return markdown(("recipe", "parameters", "loss in nats", "best possible", "without looking", "training time"), rows)


def detection_run_table() -> str:
    """One row for every recipe whose docstring says how precisely objects are found."""
    rows: list[tuple[str, ...]] = []
    for path in sorted(RECIPES.glob("*.py")):
        docstring = path.read_text(encoding="utf-8").split('"""')[1]
        if run := DETECTED.search(" ".join(docstring.split())):
            rows.append((f"`{path.stem}`", *run.group("parameters", "ap", "ap50", "time")))
    return markdown(("recipe", "parameters", "AP", "AP50", "training time"), rows)


def markdown(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table as the README writes it."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ("---",) * len(header), *rows))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when README.md is old")
    sys.exit(main(parser.parse_args()))
