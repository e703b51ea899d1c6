import builtins

import numpy as np
import pytest
from PIL import Image

from mixer_tf.data.sources import open_detection


def write(folder, labels, names, texts):
    folder.mkdir(parents=True)
    labels.mkdir(parents=True)
    for name in names:
        Image.new("RGB", (30, 20), (9, 200, 9)).save(folder / f"{name}.png")
    for name, text in texts.items():
        (labels / f"{name}.txt").write_text(text)


@pytest.fixture(params=["images first", "splits first"])
def yolo(request, tmp_path):
    for split, names, texts in (
        ("train", "ab", {"a": "1 0.5 0.25 0.2 0.5\n\n0 0.1 0.5 0.4 0.2\n7 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.0 0.1\n"}),
        ("val", "c", {"c": ""}),
    ):
        both = ("images", split), ("labels", split)
        folders = [tmp_path.joinpath(*(p if request.param == "images first" else p[::-1])) for p in both]
        write(*folders, names, texts)
    (tmp_path / "data.yaml").write_text("path: ../somewhere\nnames:\n  0: cat\n  1: dog\n  2: 3\n")
    return tmp_path


def test_yolo(yolo):
    source = open_detection(f"yolo:{yolo}")
    assert source.class_names == ("cat", "dog", "3")
    assert (source.train.name, source.evaluation.name) == ("train", "val")
    assert (source.train.size, source.evaluation.size) == (2, 1)
    assert source.dropped == {"unknown_class": 1, "zero_area": 1}
    truth, record = source.train.truth(0), source.train.read(0)
    np.testing.assert_allclose(truth["boxes"][:2], [[0, 0.4, 0.5, 0.6], [0.4, -0.1, 0.6, 0.3]], atol=1e-6)
    np.testing.assert_allclose(truth["areas"], [60, 48, 0], atol=1e-4)
    assert (truth["height"], truth["width"]) == (20, 30)
    np.testing.assert_allclose(record["boxes"], [[0, 0.4, 0.5, 0.6], [0.4, 0, 0.6, 0.3]], atol=1e-6)
    np.testing.assert_array_equal(record["classes"], [1, 0])
    assert len(source.train.truth(1)["boxes"]) == 0  # a picture without a text has no objects
    assert int(source.evaluation.truth(0)["image_id"]) == 2


def test_without_splits_a_fifth_is_held_out(tmp_path, caplog):
    write(tmp_path / "images", tmp_path / "labels", "abcdefghij", {"a": "0 .5 .5 .5 .5", "z": ""})
    (tmp_path / "classes.txt").write_text("cat\n\ndog\n")
    source = open_detection(f"yolo:{tmp_path}")
    assert source.class_names == ("cat", "dog")
    assert (source.train.size, source.evaluation.size) == (8, 2)
    assert "1 texts have no picture, the first are z" in caplog.text
    with pytest.raises(ValueError, match="has no splits to choose from"):
        open_detection(f"yolo:{tmp_path}", eval_split="val")


@pytest.mark.parametrize("line", ["0 0.5 0.5 0.5", "0 0.5 0.5 0.5 0.5 0.9 0.9", "a b c d e", "0.5 0.5 0.5 0.5 0.5"])
def test_wrong_lines_are_named(yolo, line):
    [path] = yolo.rglob("a.txt")
    path.write_text(f"1 0.5 0.5 0.5 0.5\n{line}\n")
    with pytest.raises(ValueError, match=r"class center_x center_y width height; .*a.txt, line 2"):
        open_detection(f"yolo:{yolo}")


@pytest.mark.parametrize("text", ["nc: 3", "names: {1: a, 2: b}", "- 1", "names: [", "names: 3"])
def test_wrong_yaml_in_one_line(yolo, text):
    (yolo / "data.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"data\.yaml must have names") as caught:
        open_detection(f"yolo:{yolo}")
    assert "\n" not in str(caught.value)


def test_what_is_missing_is_named(yolo, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="a split must be one of train, val; given: 'nope'"):
        open_detection(f"yolo:{yolo}", train_split="nope")
    (yolo / "data.yaml").unlink()
    with pytest.raises(ValueError, match=r"must hold data.yaml or classes.txt"):
        open_detection(f"yolo:{yolo}")
    (yolo / "empty").mkdir()
    (yolo / "empty" / "classes.txt").write_text("cat")
    with pytest.raises(ValueError, match="must hold images/<split>/"):
        open_detection(f"yolo:{yolo / 'empty'}")
    (yolo / "empty" / "classes.txt").write_text("\n")
    with pytest.raises(ValueError, match="there must be classes"):
        open_detection(f"yolo:{yolo / 'empty'}")


def test_missing_yaml_package_names_the_extra(yolo, monkeypatch):
    real_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "yaml":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match="needs PyYAML") as caught:
        open_detection(f"yolo:{yolo}")
    assert 'pip install "mixer-tf[data]"' in str(caught.value)
