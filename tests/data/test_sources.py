import builtins
import logging
import pathlib
import shlex

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image
from sklearn.datasets import load_digits

from mixer_tf.data.sources import open_images


def read(split):
    """Every example of a split, read in the graph of a tf.data pipeline."""
    dataset = tf.data.Dataset.range(split.size).map(split.read)
    assert dataset.element_spec["image"].dtype == tf.uint8
    assert dataset.element_spec["image"].shape.rank == 3
    assert dataset.element_spec["label"] == tf.TensorSpec([], tf.int32)
    examples = list(dataset.as_numpy_iterator())
    return [example["image"] for example in examples], np.array([example["label"] for example in examples])


def picture(value, mode="RGB"):
    return Image.fromarray(np.full([5 + value % 3, 8, 3], value, np.uint8)).convert(mode)


# digits


def test_digits_are_a_fixed_stratified_split():
    source = open_images("digits")
    assert source.class_names == tuple("0123456789")
    assert (source.train.size, source.evaluation.size) == (1437, 360)
    assert source.skipped == 0
    assert np.bincount(source.evaluation.labels).min() >= 34
    np.testing.assert_array_equal(source.train.labels, open_images("digits").train.labels)


def test_digits_are_all_there_once_and_scaled_to_bytes():
    source = open_images("digits")
    images, labels = read(source.train)
    more_images, more_labels = read(source.evaluation)
    np.testing.assert_array_equal(labels, source.train.labels)
    expected = np.round(load_digits().images * 255 / 16).astype(np.uint8)
    assert {0, 16, 128, 255} <= set(expected.flat)
    assert sorted(image[..., 1].tobytes() for image in images + more_images) == sorted(x.tobytes() for x in expected)
    assert sorted([*labels, *more_labels]) == sorted(load_digits().target)
    assert images[0].shape == (8, 8, 3)
    np.testing.assert_array_equal(images[0][..., 0], images[0][..., 2])


def test_data_in_memory_is_captured_not_copied_into_the_graph():
    split = open_images("digits").train
    function = tf.function(split.read, input_signature=[tf.TensorSpec([], tf.int64)]).get_concrete_function()
    assert function.graph.as_graph_def().ByteSize() < 20_000
    assert len(function.captured_inputs) == 2


# folder


def make_folder(root, splits=("train", "val"), classes=("cat", "dog"), count=3):
    for i, split in enumerate(splits):
        for j, name in enumerate(classes):
            folder = root / split / name
            folder.mkdir(parents=True)
            for k in range(count):
                picture(60 * i + 20 * j + k).save(folder / f"{k}.{('png', 'BMP', 'gif')[k % 3]}")
    return f"folder:{root}"


@pytest.mark.parametrize("evaluation", ["validation", "val", "test"])
def test_folder(tmp_path, evaluation):
    source = open_images(make_folder(tmp_path, splits=("train", evaluation)))
    assert source.class_names == ("cat", "dog")
    assert (source.train.name, source.evaluation.name) == ("train", evaluation)
    images, labels = read(source.evaluation)
    np.testing.assert_array_equal(labels, [0, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(source.evaluation.labels, labels)
    assert [int(image[0, 0, 0]) for image in images] == [60, 61, 62, 80, 81, 82]


def test_validation_is_preferred_and_a_split_can_be_chosen(tmp_path):
    data = make_folder(tmp_path, splits=("train", "test", "validation", "extra"))
    assert open_images(data).evaluation.name == "validation"
    source = open_images(data, train_split="extra", eval_split="test")
    assert (source.train.name, source.evaluation.name) == ("extra", "test")
    with pytest.raises(ValueError, match="given: 'nope'; there are extra, test, train, validation"):
        open_images(data, eval_split="nope")


def test_folder_that_does_not_exist(tmp_path):
    with pytest.raises(ValueError, match="existing folder"):
        open_images(f"folder:{tmp_path / 'nothing'}")


def test_folder_of_classes_without_splits_is_explained(tmp_path):
    make_folder(tmp_path, splits=(".",))
    with pytest.raises(ValueError, match=r"<split>/<class>/, but .*cat .* move the class folders into .*train"):
        open_images(f"folder:{tmp_path}")


def test_folder_without_evaluation_split(tmp_path):
    with pytest.raises(ValueError, match="validation or val or test, it has train; name one by eval_split"):
        open_images(make_folder(tmp_path, splits=("train",)))


def test_empty_class_is_named(tmp_path):
    data = make_folder(tmp_path)
    for path in (tmp_path / "val" / "dog").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"val/dog holds none"):
        open_images(data)


def test_different_classes_are_listed(tmp_path):
    data = make_folder(tmp_path)
    (tmp_path / "val" / "dog").rename(tmp_path / "val" / "bird")
    with pytest.raises(ValueError, match="only in train: dog; only in val: bird"):
        open_images(data)


@pytest.mark.parametrize("layout", ["train", "train/all"])
def test_pictures_without_labels_need_no_class_folders(tmp_path, layout):
    for folder in (tmp_path / layout, tmp_path / layout.replace("train", "val")):
        folder.mkdir(parents=True)
        for k in range(3):
            picture(7 * k).save(folder / f"{k}.png")
    source = open_images(f"folder:{tmp_path}", labelled=False)
    assert len(source.class_names) == 1
    assert [int(image[0, 0, 0]) for image in read(source.train)[0]] == [0, 7, 14]
    with pytest.raises(ValueError, match=r"at least two class folders in .*train"):
        open_images(f"folder:{tmp_path}")


def test_splits_of_pictures_must_be_laid_out_alike_and_hold_some(tmp_path):
    data = make_folder(tmp_path)
    (tmp_path / "flat").mkdir()
    with pytest.raises(ValueError, match="only in train: cat, dog; only in flat: none"):
        open_images(data, eval_split="flat", labelled=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"must hold readable ones .*flat holds none; add some"):
        open_images(data, train_split="flat", eval_split="empty", labelled=False)


def test_pictures_beside_class_folders_are_counted(tmp_path, caplog):
    data = make_folder(tmp_path)
    for k in range(2):
        picture(k).save(tmp_path / "val" / f"{k}.png")
    assert open_images(data).evaluation.size == 6
    assert f"{tmp_path / 'val'}: left out 2 files beside the folders of pictures" in caplog.text


def test_one_class_is_too_few(tmp_path):
    with pytest.raises(ValueError, match="at least two class folders"):
        open_images(make_folder(tmp_path, classes=("cat",)))


def test_one_class_will_do_where_no_labels_are_needed(tmp_path):
    source = open_images(make_folder(tmp_path, classes=("cat",)), labelled=False)
    assert source.class_names == ("cat",)


def test_broken_pictures_are_refused_or_skipped_and_counted(tmp_path, caplog):
    data = make_folder(tmp_path)
    (tmp_path / "train" / "cat" / "1b.jpg").write_bytes(b"no picture")
    (tmp_path / "val" / "dog" / "9.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"2 of 14 are not, the first is .*1b.jpg \(.*skip_broken=true"):
        open_images(data)
    with caplog.at_level(logging.INFO, "mixer_tf"):
        source = open_images(data, skip_broken=True)
    assert source.skipped == 2
    assert (source.train.size, source.evaluation.size) == (6, 6)
    assert "checked 14 pictures in" in caplog.text
    assert "9.png" in caplog.text


def test_a_class_with_broken_pictures_only_cannot_be_skipped(tmp_path):
    data = make_folder(tmp_path)
    for path in (tmp_path / "val" / "dog").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"val/dog"):
        open_images(data, skip_broken=True)


def test_other_files_are_left_out_with_a_warning(tmp_path, caplog):
    data = make_folder(tmp_path)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("hello")
    (tmp_path / "train" / "cat" / ".hidden").write_text("hello")
    assert open_images(data).train.size == 6
    assert "left out 1 files or folders" in caplog.text


# tfds


class TinyPictures(tfds.core.GeneratorBasedBuilder):
    """Builds a data set without any download; its configurations differ in splits and features."""

    pkg_dir_path = pathlib.Path(__file__).parent  # else TFDS looks for a package with this module's name
    VERSION = tfds.core.Version("1.2.0")
    BUILDER_CONFIGS = [  # noqa: RUF012
        tfds.core.BuilderConfig(name=name) for name in ("plain", "validated", "alone", "unlabelled", "unprepared")
    ]

    def _info(self):
        features = {"image": tfds.features.Image(shape=(None, None, 1), encoding_format="png"), "id": tf.int64}
        if self.builder_config.name != "unlabelled":
            features["label"] = tfds.features.ClassLabel(names=["circle", "square", "star"])
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        splits = {"alone": ["train"], "validated": ["train", "test", "validation"]}
        return {name: self._generate_examples(name) for name in splits.get(self.builder_config.name, ["train", "test"])}

    def _generate_examples(self, split):
        for i in range({"train": 10, "test": 4, "validation": 5}[split]):
            image = np.full([4 + i, 6, 1], 20 * i, np.uint8)
            example = {"image": image, "id": i, "label": i % 3}
            yield i, {key: value for key, value in example.items() if key in self.info.features}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("tfds"))
    for config in ("plain", "validated", "alone", "unlabelled"):
        tfds.builder(f"tiny_pictures/{config}", data_dir=folder).download_and_prepare()
    return folder


def check_tiny(split, size):
    images, labels = read(split)
    assert split.size == len(images) == size
    values = [int(image[0, 0, 0]) // 20 for image in images]
    assert sorted(values) == list(range(size))  # TFDS shuffles once, when it prepares
    np.testing.assert_array_equal(labels, np.array(values) % 3)
    for value, image in zip(values, images, strict=True):
        assert image.shape == (4 + value, 6, 3)


@pytest.mark.parametrize(
    "name", ["tiny_pictures", "tiny_pictures/plain", "tiny_pictures/plain:1.2.0", "tiny_pictures:1.*.*"]
)
def test_tfds_in_memory(data_dir, name):
    source = open_images(f"tfds:{name}", data_dir=data_dir)
    assert source.name == f"tfds:{name}"
    assert source.class_names == ("circle", "square", "star")
    assert (source.train.name, source.evaluation.name) == ("train", "test")
    check_tiny(source.train, 10)
    check_tiny(source.evaluation, 4)
    np.testing.assert_array_equal(read(source.train)[1], source.train.labels)


def test_tfds_prefers_validation_and_takes_slices(data_dir):
    options = {"data_dir": data_dir, "train_split": "train[:80%]"}
    assert open_images("tfds:tiny_pictures/validated", **options).evaluation.name == "validation"
    source = open_images("tfds:tiny_pictures/alone", eval_split="train[80%:]", **options)
    assert (source.train.size, source.evaluation.size) == (8, 2)
    assert len(read(source.evaluation)[0]) == 2


def test_tfds_without_evaluation_split(data_dir):
    with pytest.raises(ValueError, match="validation or test, it has train; name one by eval_split"):
        open_images("tfds:tiny_pictures/alone", data_dir=data_dir)


@pytest.mark.parametrize("split", ["trian", "train[:x]", "train[:0]"])
def test_tfds_wrong_split(data_dir, split):
    with pytest.raises(ValueError, match="a split must"):
        open_images("tfds:tiny_pictures/plain", data_dir=data_dir, train_split=split)


def test_tfds_without_labels(data_dir):
    with pytest.raises(ValueError, match="unlabelled has image, id"):
        open_images("tfds:tiny_pictures/unlabelled", data_dir=data_dir)


def test_tfds_not_prepared_names_a_command_that_prepares_it(tmp_path):
    name = "tfds:tiny_pictures/unprepared"
    with pytest.raises(ValueError, match="must be prepared") as caught:
        open_images(name, data_dir=str(tmp_path))
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    program, option, code = shlex.split(str(caught.value).split("run: ")[1])
    assert (program, option) == ("python", "-c")
    exec(code)
    check_tiny(open_images(name, data_dir=str(tmp_path)).train, 10)


def test_tfds_unknown_name_lists_the_nearest():
    with pytest.raises(ValueError, match="tiny_pictures") as caught:
        open_images("tfds:tiny_picture")
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["tiny_pictures:9.9.9", "tiny_pictures/none", "tiny pictures"])
def test_tfds_wrong_version_or_configuration_in_one_line(data_dir, name):
    with pytest.raises(ValueError, match="must be NAME") as caught:
        open_images(f"tfds:{name}", data_dir=data_dir)
    assert "\n" not in str(caught.value)


def test_tfds_too_large_for_memory_needs_random_access(data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr("mixer_tf.data.tfds.MAX_BYTES_IN_MEMORY", 100)
    with pytest.raises(ValueError, match=r"above 100 bytes.*file_format=tfrecord.*file_format='array_record'"):
        open_images("tfds:tiny_pictures/plain", data_dir=data_dir)

    builder = tfds.builder("tiny_pictures/plain", data_dir=str(tmp_path), file_format="array_record")
    builder.download_and_prepare()
    source = open_images("tfds:tiny_pictures/plain", data_dir=str(tmp_path), train_split="train[:70%]")
    assert source.train.labels is None
    assert len(read(source.train)[0]) == 7
    check_tiny(source.evaluation, 4)


# what is no source


@pytest.mark.parametrize("data", ["", "digit", "tfds:", "folder:", "coco:x", "mnist"])
def test_unknown_form_names_the_three(data):
    with pytest.raises(ValueError, match="digits, tfds:NAME or folder:PATH"):
        open_images(data)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("digits", {"data_dir": "x"}, "takes no data_dir"),
        ("digits", {"train_split": "a", "eval_split": "b"}, "takes no train_split and no eval_split"),
        ("folder:x", {"data_dir": "x"}, "takes no data_dir"),
        ("tfds:mnist", {"skip_broken": True}, "takes no skip_broken"),
    ],
)
def test_arguments_that_do_not_apply(data, options, message):
    with pytest.raises(ValueError, match=message):
        open_images(data, **options)


@pytest.mark.parametrize(("data", "package"), [("digits", "scikit-learn"), ("tfds:mnist", "tensorflow-datasets")])
def test_missing_package_names_the_extra(data, package, monkeypatch):
    real_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith(("sklearn", "tensorflow_datasets")):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=package) as caught:
        open_images(data)
    assert 'pip install "mixer-tf[data]"' in str(caught.value)


def test_the_same_split_for_training_and_evaluation_is_refused():
    with pytest.raises(ValueError, match="eval_split must be another split than train_split; given: train for both"):
        open_images("tfds:mnist", train_split="train", eval_split="train")


def test_file_names_need_not_be_utf8(tmp_path):
    import os

    for split in ("train", "test"):
        for name in ("cat", "dog"):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            Image.new("RGB", (3, 5)).save(folder / "a.png")
            os.rename(folder / "a.png", os.fsencode(folder) + b"/\xff\xe9.png")
    source = open_images(f"folder:{tmp_path}")
    assert [image.shape for image in read(source.train)[0]] == [(5, 3, 3), (5, 3, 3)]
