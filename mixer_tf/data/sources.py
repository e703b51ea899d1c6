"""Where labelled pictures come from: `digits`, `tfds:NAME` or `folder:PATH`, all behind one `ImageSource`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mixer_tf.data.digits import open_digits
from mixer_tf.data.folder import open_folder
from mixer_tf.data.splits import ImageSource
from mixer_tf.data.tfds import open_tfds


def open_images(
    data: str,
    *,
    data_dir: str | None = None,
    skip_broken: bool = False,
    train_split: str | None = None,
    eval_split: str | None = None,
    labelled: bool = True,
) -> ImageSource:
    """Open a set of labelled pictures. Nothing is ever downloaded.

    Args:
        data: `digits` (1,797 handwritten digits of 8x8 pixels that come with scikit-learn), `tfds:NAME` (also
            `tfds:NAME:1.0.0` and `tfds:NAME/config`; must have been prepared) or `folder:PATH` with pictures at
            `PATH/<split>/<class>/*`.
        data_dir: Where TFDS keeps its prepared sets, if not in its default place. For `tfds:` only.
        skip_broken: Leave broken pictures out instead of refusing the set. For `folder:` only.
        train_split: Instead of `train`. TFDS slices such as `train[:80%]` are allowed. Not for `digits`.
        eval_split: Instead of the first of `validation`, `val` (folders only) and `test` that exists. Not for `digits`.
        labelled: Whether the labels are needed. Without, `folder:` also takes pictures of a single class, or
            straight in `PATH/<split>/`.

    Returns:
        The opened source.

    Raises:
        ValueError: If the set is unknown, not prepared, lacks pictures, labels or splits, or is broken, if an argument
            does not apply, or if a package is missing.

    Example:
        >>> source = open_images("digits")
        >>> source.train.size, source.evaluation.size
        (1437, 360)
    """
    kind, _, rest = data.partition(":")
    ignored = {"data_dir": data_dir, "skip_broken": skip_broken, "train_split": train_split, "eval_split": eval_split}
    if train_split is not None and train_split == eval_split:
        raise ValueError(f"eval_split must be another split than train_split; given: {eval_split} for both")
    if data == "digits":
        _refuse_arguments(data, ignored)
        return open_digits()
    if kind == "tfds" and rest:
        _refuse_arguments(data, {"skip_broken": skip_broken})
        return open_tfds(rest, data_dir, train_split, eval_split)
    if kind == "folder" and rest:
        _refuse_arguments(data, {"data_dir": data_dir})
        return open_folder(Path(rest).expanduser(), skip_broken, train_split, eval_split, labelled)
    raise ValueError(f"data must be digits, tfds:NAME or folder:PATH; given: {data!r}; choose one of these forms")


def _refuse_arguments(data: str, arguments: Mapping[str, object]) -> None:
    if given := [name for name, value in arguments.items() if value]:
        raise ValueError(f"data={data} takes no {' and no '.join(given)}; leave that out")
