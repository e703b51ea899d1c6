"""What `load_weights` answers: a report when all went well, one error that lists both sides when not."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from mixer_tf.data.preprocess import Preprocessing


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """What `load_weights` did.

    Attributes:
        source: name of the file.
        architecture: what the model was recognised as; None for a model that only has its own names.
        layout: the naming of the arrays, as `save_weights` takes it.
        arrays: number of arrays that were loaded.
        parameters: number of numbers in them, BatchNormalization's statistics included.
        resized: arrays that belong to another image size and were resized, with both shapes.
        converted: arrays of another floating-point type than the model's, each with its type.
        skipped: arrays of the file that were left out.
        kept: arrays that the file lacks, so that the model kept its values.
        preprocessing: what the weights expect of a picture; also `model.preprocessing`.
    """

    source: str
    architecture: str | None
    layout: str
    arrays: int
    parameters: int
    resized: tuple[str, ...]
    converted: tuple[str, ...]
    skipped: tuple[str, ...]
    kept: tuple[str, ...]
    preprocessing: Preprocessing | None

    def __str__(self):
        kind = f"{self.architecture or 'own architecture'}, layout {self.layout}"
        facts = [f"{self.source}: {self.arrays} arrays, {self.parameters:,} parameters loaded ({kind})"]
        for fact in ("resized", "converted", "skipped", "kept"):
            if names := getattr(self, fact):
                facts.append(f"{fact} {listed(names)}")
        return "; ".join(facts)


class WeightsMismatch(ValueError):  # noqa: N818, the name says what it is
    """The arrays of a checkpoint are not those of the model; nothing was loaded.

    Attributes:
        missing: arrays that the model needs and the checkpoint lacks.
        extra: arrays that the checkpoint has and the model does not.
        misshapen: name -> (shape in the checkpoint, shape in the model).
    """

    def __init__(self, claim: str, missing: Sequence[str], extra: Sequence[str], misshapen: Mapping, hint: str):
        self.missing, self.extra, self.misshapen = tuple(missing), tuple(extra), dict(misshapen)
        shapes = [f"{name} {given} for {wanted}" for name, (given, wanted) in self.misshapen.items()]
        sides = {"only in the model": self.missing, "only in the file": self.extra, "of another shape": shapes}
        found = [f"{side} {listed(names)}" for side, names in sides.items() if names]
        super().__init__(one_line("; ".join([claim, *found, hint])))


def one_line(message: object) -> str:
    """The message without line breaks, which can come from the names in a file."""
    return " ".join(str(message).split())


def listed(names: Sequence[str], first: int = 3) -> str:
    """`"5 (a, b, c, ...)"`."""
    return f"{len(names)} ({', '.join(names[:first])}{', ...' if len(names) > first else ''})"
