"""The pictures of a run on masked tokens show what the model saw, and what it said of what it did not see."""

import keras
import numpy as np
import pytest

from mixer_tf.analysis import masked_report
from mixer_tf.analysis.masked_report import write_curves, write_hidden_parts
from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.layers.mask_tile import MaskTile

KINDS = np.array([[[0, 1, 2]], [[3, 2, 0]], [[1, 1, 2]], [[0, 0, 0]]], np.int32)  # of 4 pictures of 1 x 3 patches
TILE = np.arange(12).reshape(2, 2, 3) / 12  # of one patch


def model_that_says(outputs):
    """A masked image model, of pictures of 2 x 6 pixels, whose answer for picture i is `outputs[i]`."""
    shapes = {"index": (), "image": (2, 6, 3), "masked_units": (1, 3)}
    inputs = {
        name: keras.Input(shape, dtype="float32" if name == "image" else "int32", name=name)
        for name, shape in shapes.items()
    }
    tile = MaskTile(2, name="mask_tile")
    covered = tile([inputs["image"], inputs["masked_units"]])
    tile.tile.assign(2 * TILE - 1)
    answer = keras.ops.take(keras.ops.convert_to_tensor(outputs, "float32"), inputs["index"], axis=0)
    model = keras.Model(inputs, answer + 0 * keras.ops.sum(covered))
    model.preprocessing = Preprocessing((2, 6))
    return model


def batch_of(labels):
    image = np.random.default_rng(1).uniform(-1, 1, (4, 2, 6, 3)).astype("float32")
    return {
        "index": np.arange(4),
        "image": image,
        "masked_units": (KINDS == 1).astype("int32"),
        "labels": labels,
        "kinds": KINDS,
    }


@pytest.fixture
def drawn(monkeypatch):
    """The rows of pictures that are drawn, as arrays."""
    rows = {}
    monkeypatch.setattr(masked_report, "draw_hidden_parts", lambda given, *_: rows.update(given))
    monkeypatch.setattr(masked_report, "save", lambda figure, path: path)
    return rows


def test_colours_that_are_seen_and_guessed(drawn, tmp_path):
    labels, said = np.random.default_rng(0).integers(0, 512, (2, 4, 1, 3))
    batch = batch_of(labels)
    path = write_hidden_parts(tmp_path, model_that_says(np.eye(512)[said]), batch, count=3)
    assert path == tmp_path / "masked.png"

    def colours(classes):  # the middles of three bits a channel
        return np.stack([classes // 64, classes // 8 % 8, classes % 8], axis=-1) * 32 + 16

    covered = (KINDS == 1).repeat(2, axis=1).repeat(2, axis=2)[..., None]
    seen = np.rint(255 * np.where(covered, np.tile(TILE, (1, 3, 1)), (batch["image"] + 1) / 2))
    expected = {"truth": colours(labels), "seen": seen, "guess": colours(np.where(KINDS > 0, said, labels))}
    assert drawn.keys() == expected.keys()
    for name, pictures in expected.items():
        np.testing.assert_allclose(drawn[name], pictures[:3].astype("uint8"), atol=1)


def test_pixels_keep_their_places(drawn, tmp_path):
    labels, said = np.random.default_rng(0).normal(size=(2, 4, 1, 3, 12)).astype("float32")
    write_hidden_parts(tmp_path, model_that_says(said), batch_of(labels))
    assert [pictures.shape for pictures in drawn.values()] == [(4, 2, 6, 3)] * 3
    patch = np.clip(128 + 50 * said[0, 0, 1].reshape(2, 2, 3), 0, 255).astype("uint8")
    np.testing.assert_array_equal(drawn["guess"][0, :, 2:4], patch)
    np.testing.assert_array_equal(drawn["guess"][0, :, :2], drawn["truth"][0, :, :2])


@pytest.mark.parametrize(("target", "asked"), [("colors", "colour in 3 bits"), ("pixels", "each patch's pixels")])
def test_picture_says_what_it_shows(monkeypatch, tmp_path, target, asked):
    figures = []
    monkeypatch.setattr(masked_report, "save", lambda figure, path: figures.append(figure))
    random = np.random.default_rng(0)
    labels, outputs = random.integers(0, 512, (4, 1, 3)), random.normal(size=(4, 1, 3, 512))
    if target == "pixels":
        labels, outputs = random.normal(size=(2, 4, 1, 3, 12)).astype("float32")
    write_hidden_parts(tmp_path, model_that_says(outputs), batch_of(labels))
    [figure] = figures
    assert asked in figure.get_suptitle()
    assert all(f"{row}: " in figure.get_suptitle() for row in ("truth", "seen", "guess"))
    [legend] = figure.legends
    meanings = [text.get_text() for text in legend.get_texts()]
    assert [meaning.split(":")[0] for meaning in meanings] == ["masked", "random", "kept"]
    colors = [handle.get_edgecolor() for handle in legend.legend_handles]
    for axes, kinds in zip(figure.axes, np.tile(KINDS[:, 0], (3, 1)), strict=True):
        frames = {int(frame.get_x()): frame.get_edgecolor() for frame in axes.patches}
        assert frames == {column: colors[kind - 1] for column, kind in enumerate(kinds) if kind}


def test_files_are_pictures(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,loss,val_loss\n1,3.0,2.5\n2,2.0,1.5\n")
    metrics = {"marginal_loss": 2.6, "bayes_loss": 1.4, "masked_loss": 1.5}
    labels = np.random.default_rng(0).integers(0, 512, (4, 1, 3))
    batch = batch_of(labels)
    curves = write_curves(tmp_path, metrics)
    hidden = write_hidden_parts(tmp_path, model_that_says(np.eye(512)[labels]), batch)
    for path in (curves, hidden):
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
