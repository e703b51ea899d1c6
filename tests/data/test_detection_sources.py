import builtins
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from mixer_tf.data.sources import open_detection


class TinyObjects(tfds.core.GeneratorBasedBuilder):
    """Builds a detection set without any download, with the features of COCO or of VOC."""

    pkg_dir_path = pathlib.Path(__file__).parent  # else TFDS looks for a package with this module's name
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name) for name in ("coco", "voc", "plain")]  # noqa: RUF012

    def _info(self):
        label = tfds.features.ClassLabel(names=["cup", "hat", "pen"])
        parts = {
            "coco": {"bbox": tfds.features.BBoxFeature(), "label": label, "area": tf.int64, "is_crowd": tf.bool},
            "voc": {"bbox": tfds.features.BBoxFeature(), "label": label, "is_difficult": tf.bool},
            "plain": {"label": label},
        }[self.builder_config.name]
        features = {
            "image": tfds.features.Image(encoding_format="png" if self.builder_config.name == "voc" else "jpeg"),
            "objects": tfds.features.Sequence(parts),
        }
        if self.builder_config.name == "coco":
            features["image/id"] = tf.int64
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(5), "validation": self._generate_examples(2)}

    def _generate_examples(self, count):
        for i in range(count):
            objects = [
                {
                    "bbox": tfds.features.BBox(0.1 * j, 0.0, 0.5, 0.25),
                    "label": (i + j) % 3,
                    "area": 10 * i + j,
                    "is_crowd": j == 2,
                    "is_difficult": j == 1,
                }
                for j in range(i)
            ]
            features = self.info.features["objects"].feature
            objects = [{key: value for key, value in o.items() if key in features} for o in objects]
            example = {"image": np.full([20 + i, 32, 3], 40 * i, np.uint8), "objects": objects, "image/id": 100 + i}
            yield i, {key: value for key, value in example.items() if key in self.info.features}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("tfds"))
    for config in ("coco", "voc", "plain"):
        tfds.builder(f"tiny_objects/{config}", data_dir=folder).download_and_prepare()
    return folder


def check_coco(source):
    assert source.class_names == ("cup", "hat", "pen")
    assert (source.train.size, source.evaluation.size) == (5, 2)
    assert source.dropped == {"crowd": 2}  # of pictures 3 and 4
    examples = tf.data.Dataset.range(5).map(source.train.read).as_numpy_iterator()
    seen = set()
    for place, example in enumerate(examples):
        truth = source.train.truth(place)
        i = int(truth["image_id"]) - 100
        seen.add(i)
        assert example["image"].shape == (20 + i, 32, 3)
        assert (truth["height"], truth["width"]) == (20 + i, 32)
        np.testing.assert_allclose(truth["boxes"], np.reshape([[0.1 * j, 0, 0.5, 0.25] for j in range(i)], [-1, 4]))
        np.testing.assert_array_equal(truth["classes"], [(i + j) % 3 for j in range(i)])
        np.testing.assert_array_equal(truth["areas"], [10 * i + j for j in range(i)])
        np.testing.assert_array_equal(truth["crowd"], [j == 2 for j in range(i)])
        np.testing.assert_array_equal(example["classes"], [(i + j) % 3 for j in range(i) if j != 2])
    assert seen == set(range(5))


def test_tfds_coco_in_memory(data_dir):
    source = open_detection("tfds:tiny_objects/coco", data_dir=data_dir)
    assert (source.name, source.train.name, source.evaluation.name) == (
        "tfds:tiny_objects/coco",
        "train",
        "validation",
    )
    check_coco(source)


def test_tfds_coco_by_random_access(tmp_path):
    folder = str(tmp_path)
    tfds.builder("tiny_objects/coco", data_dir=folder, file_format="array_record").download_and_prepare()
    check_coco(open_detection("tfds:tiny_objects/coco", data_dir=folder))


def test_tfds_voc(data_dir):
    source = open_detection("tfds:tiny_objects/voc", data_dir=data_dir, train_split="train[:80%]")
    assert source.train.size == 4
    all_truths = [source.train.truth(i) for i in range(4)] + [source.evaluation.truth(i) for i in range(2)]
    assert source.dropped == {"difficult": sum(int(truth["difficult"].sum()) for truth in all_truths)}
    for i, truth in enumerate(all_truths[:4]):
        np.testing.assert_array_equal(truth["difficult"], [j == 1 for j in range(len(truth["classes"]))])
        sides = (truth["boxes"][:, 2:] - truth["boxes"][:, :2]) * [truth["height"], truth["width"]]
        np.testing.assert_allclose(truth["areas"], sides.prod(axis=1), rtol=1e-5)
        assert truth["image_id"] == i
        assert source.train.read(i)["image"].shape == (truth["height"], 32, 3)


def test_tfds_without_boxes(data_dir):
    with pytest.raises(ValueError, match="plain has image, objects"):
        open_detection("tfds:tiny_objects/plain", data_dir=data_dir)


@pytest.mark.parametrize("data", ["", "digits", "scene", "coco:", "voc:", "yolo:", "tfds:", "folder:x"])
def test_unknown_form_names_all(data):
    with pytest.raises(
        ValueError, match=r"scenes, coco:FOLDER, coco:ANNOTATIONS\.json:IMAGES, voc:FOLDER, yolo:FOLDER"
    ):
        open_detection(data)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("scenes", {"data_dir": "x"}, "takes no data_dir"),
        ("scenes", {"train_split": "a", "eval_split": "b"}, "takes no train_split and no eval_split"),
        ("coco:x", {"data_dir": "x"}, "takes no data_dir"),
        ("tfds:voc", {"skip_broken": True}, "takes no skip_broken"),
        ("voc:x", {"train_split": "a", "eval_split": "a"}, "must be another split than train_split; given: a for both"),
    ],
)
def test_arguments_that_do_not_apply(data, options, message):
    with pytest.raises(ValueError, match=message):
        open_detection(data, **options)


@pytest.mark.parametrize(("data", "package"), [("scenes", "scikit-learn"), ("tfds:voc/2007", "tensorflow-datasets")])
def test_missing_package_names_the_extra(data, package, monkeypatch):
    real_import = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith(("sklearn", "tensorflow_datasets")):
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match=package) as caught:
        open_detection(data)
    assert 'pip install "mixer-tf[data]"' in str(caught.value)
