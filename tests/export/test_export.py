"""A version folder that any TensorFlow process can serve, published at once or not at all."""

import json
import subprocess
import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.data.images import decode_image
from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.export.publish import publish
from tests.backbones.tiny import tiny_classifier

NAMES = ["ant", "bée", "cat", "dog"]
PREPROCESSING = Preprocessing((24, 40), mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), crop=0.9, interpolation="bicubic")

# A process that has TensorFlow and nothing of ours, as a server has.
SERVE = """
import json, sys
import tensorflow as tf
count = int(sys.argv[1])
folders, pictures = sys.argv[2 : 2 + count], [open(path, "rb").read() for path in sys.argv[2 + count :]]
for folder in folders:
    outputs = tf.saved_model.load(folder).signatures["serving_default"](image_bytes=tf.constant(pictures))
    classes = [[name.decode() for name in row] for row in outputs["classes"].numpy()]
    print(json.dumps({"scores": outputs["scores"].numpy().tolist(), "classes": classes}))
assert "mixer_tf" not in sys.modules
"""


def pictures(folder):
    """Two pictures of other sizes than the model's, as JPEG and PNG files, and as arrays."""
    generator = np.random.default_rng(5)
    paths, arrays = [], []
    for name, encode, shape in (("a.jpg", tf.io.encode_jpeg, (50, 61, 3)), ("b.png", tf.io.encode_png, (31, 90, 3))):
        coarse = generator.integers(256, size=(5, 7, 3)).astype("float32")
        pixels = tf.cast(tf.image.resize(coarse, shape[:2]), tf.uint8)
        (folder / name).write_bytes(encode(pixels).numpy())
        paths.append(str(folder / name))
        arrays.append(decode_image((folder / name).read_bytes()))
    return paths, arrays


# What has layers of its own: attention, token mixing, rafts, Fourier transforms, shifts, regions.
EXPORTED = ("resnet", "vit", "mlp_mixer", "raft_mlp", "gfnet", "as_mlp", "hire_mlp")


def test_export_in_a_process_without_us_equals_predict(tmp_path):
    paths, arrays = pictures(tmp_path)
    folders, logits = [], []
    for architecture in EXPORTED:
        model = tiny_classifier(architecture)
        folders.append(mt.export(model, tmp_path / architecture, class_names=NAMES, preprocessing=PREPROCESSING))
        logits.append(model.predict(np.stack([PREPROCESSING(array) for array in arrays]), verbose=0))
    command = [sys.executable, "-c", SERVE, str(len(folders)), *map(str, folders), *paths]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    for line, expected in zip(process.stdout.splitlines(), logits, strict=True):
        outputs = json.loads(line)
        np.testing.assert_allclose(outputs["scores"], keras.ops.softmax(expected), atol=1e-5)
        assert outputs["classes"] == [NAMES, NAMES]


def test_models_own_preprocessing_and_sigmoid_are_used(tmp_path):
    model = tiny_classifier("mlp_mixer")
    model.preprocessing = PREPROCESSING
    folder = mt.export(model, tmp_path / "model", class_names=NAMES, activation="sigmoid")
    paths, arrays = pictures(tmp_path)
    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    scores = signature(image_bytes=tf.io.read_file(paths[0])[None])["scores"]
    np.testing.assert_allclose(scores, tf.sigmoid(model(PREPROCESSING(arrays[0])[None])), atol=1e-5)


def test_variables_are_stored_once(tmp_path):
    model = tiny_classifier("vit")
    folder = mt.export(model, tmp_path / "model", class_names=NAMES, preprocessing=PREPROCESSING)
    stored = [shape for name, shape in tf.train.list_variables(str(folder / "variables" / "variables")) if shape]
    assert sorted(map(tuple, stored)) == sorted(tuple(weight.shape) for weight in model.weights)


def test_export_refuses_what_it_cannot_serve(tmp_path):
    model = tiny_classifier("mlp_mixer")
    with pytest.raises(ValueError, match="given: no preprocessing"):
        mt.export(model, tmp_path / "model", class_names=NAMES)
    for wrong in ("0123", [0, 1, 2, 3]):
        with pytest.raises(ValueError, match="class_names must be a list of strings"):
            mt.export(model, tmp_path / "model", class_names=wrong, preprocessing=PREPROCESSING)
    with pytest.raises(ValueError, match="class_names must differ"):
        mt.export(model, tmp_path / "model", class_names=["a", "b", "a", "c"], preprocessing=PREPROCESSING)
    with pytest.raises(ValueError, match="must name the model's 4 classes; given: 3 names"):
        mt.export(model, tmp_path / "model", class_names=NAMES[:3], preprocessing=PREPROCESSING)
    with pytest.raises(ValueError, match=r"must give pictures of \(24, 40\); given: \(16, 24\)"):
        mt.export(model, tmp_path / "model", class_names=NAMES, preprocessing=Preprocessing((16, 24)))
    assert not (tmp_path / "model").exists()


def test_versions_count_up_and_never_touch_an_older_one(tmp_path):
    for content in "abc":
        publish(tmp_path, lambda folder, content=content: write(folder, content))
    (tmp_path / "README.md").write_text("no version")
    (tmp_path / "9").mkdir()
    assert publish(tmp_path, lambda folder: write(folder, "d")) == tmp_path / "10"
    assert [(tmp_path / version / "file").read_text() for version in ("1", "2", "3", "10")] == ["a", "b", "c", "d"]


def test_failed_publish_leaves_nothing(tmp_path):
    def fail(folder):
        write(folder, "half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        publish(tmp_path, fail)
    assert list(tmp_path.iterdir()) == []


def test_publishers_at_the_same_moment_get_different_versions(tmp_path):
    barrier, paths = threading.Barrier(4), []

    def wait_and_write(folder):
        write(folder, "x")
        barrier.wait()

    threads = [threading.Thread(target=lambda: paths.append(publish(tmp_path, wait_and_write))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.name for path in paths) == ["1", "2", "3", "4"]


def write(folder, content):
    folder.mkdir()
    (folder / "file").write_text(content)
