import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_images

from mixer_tf.data.preprocess import Preprocessing

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC, "area": Image.Resampling.BOX}


@pytest.fixture(scope="module")
def photo():
    return load_sample_images().images[0]  # [427, 640, 3]


def torchvision_view(photo, size, crop, method):
    """Resize(floor(size / crop)) and CenterCrop of torchvision, for a square target, by PIL."""
    side = int(size / crop)
    height, width = photo.shape[:2]
    new = (side, int(side * width / height)) if height <= width else (int(side * height / width), side)
    resized = np.asarray(Image.fromarray(photo).resize(new[::-1], PILLOW[method]))
    top, left = round((new[0] - size) / 2), round((new[1] - size) / 2)
    return resized[top : top + size, left : left + size]


def test_std_is_no_variance():
    image = tf.constant([[[255, 0, 102]]], tf.uint8)
    preprocess = Preprocessing((1, 1), mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.1))
    np.testing.assert_allclose(preprocess(image)[0, 0], [2.5, -1.6, 1.0], atol=1e-6)


@pytest.mark.parametrize("method", PILLOW)
@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize(("size", "crop"), [(96, 0.875), (224, 0.9), (31, 1.0)])
def test_agrees_with_pillow_when_shrinking(photo, method, upright, size, crop):
    photo = photo.swapaxes(0, 1) if upright else photo
    result = Preprocessing((size, size), crop=crop, interpolation=method).resize(tf.constant(photo))
    difference = np.abs(result.numpy() - torchvision_view(photo, size, crop, method))
    assert difference.mean() < 0.5
    if method != "area":  # where a pixel's centre lies on the box's edge, PIL may count it on the other side
        assert np.quantile(difference, 0.999) < 2  # PIL rounds and clips between rows and columns


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_agrees_with_pillow_when_enlarging(photo, method):
    small = np.ascontiguousarray(photo[100:120, 200:220])
    result = Preprocessing((57, 57), interpolation=method).resize(tf.constant(small)).numpy()
    expected = np.asarray(Image.fromarray(small).resize((57, 57), PILLOW[method]))
    assert np.abs(result - expected).mean() < 0.5


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "area"])
def test_right_size_is_not_resampled(photo, method):
    result = Preprocessing((427, 640), interpolation=method).resize(tf.constant(photo))
    np.testing.assert_array_equal(result, photo.astype(np.float32))


def test_nearest_repeats_pixels():
    image = tf.constant(np.random.default_rng(0).integers(0, 256, [3, 5, 3]), tf.uint8)
    result = Preprocessing((6, 10), interpolation="nearest").resize(image)
    np.testing.assert_array_equal(result, np.repeat(np.repeat(image.numpy(), 2, 0), 2, 1))


def test_target_that_is_not_square_keeps_the_aspect_ratio(photo):
    # 427 x 640 for 60 x 40: the height decides; it becomes 60, the width 89, of which the middle 40 remain.
    result = Preprocessing((60, 40)).resize(tf.constant(photo)).numpy()
    resized = np.asarray(Image.fromarray(photo).resize((89, 60), Image.Resampling.BILINEAR))
    assert np.abs(result - resized[:, 24:64]).mean() < 0.5  # (89 - 40) / 2 = 24.5, rounded to even


@pytest.mark.parametrize("shape", [(500, 1), (1, 700), (1, 1), (1, 200_000)])
def test_pictures_one_pixel_wide(shape):
    grey = tf.fill([*shape, 3], tf.constant(77, tf.uint8))
    result = Preprocessing((32, 24), crop=0.9, interpolation="bicubic").resize(grey)
    np.testing.assert_allclose(result, np.full([32, 24, 3], 77), atol=1e-2)


def test_bicubic_overshoot_is_clipped():
    stripes = tf.repeat(tf.constant([[[0], [255], [0], [255]]] * 4, tf.uint8), 3, axis=-1)
    result = Preprocessing((9, 9), interpolation="bicubic").resize(stripes).numpy()
    assert result.min() == 0
    assert result.max() == 255


def test_unknown_size_in_a_dataset_and_in_a_saved_model(photo, tmp_path):
    preprocess = Preprocessing((20, 30), crop=0.8, interpolation="bicubic", **IMAGENET)
    pictures = [photo[:100, :50], photo[:60, :333]]
    dataset = tf.data.Dataset.from_generator(
        lambda: pictures, output_signature=tf.TensorSpec([None, None, 3], tf.uint8)
    )
    dataset = dataset.map(preprocess)
    assert dataset.element_spec.shape == (20, 30, 3)

    module = tf.Module()
    module.f = tf.function(preprocess, input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)])
    tf.saved_model.save(module, str(tmp_path))
    exported = tf.saved_model.load(str(tmp_path)).f
    for picture, result in zip(pictures, dataset, strict=True):
        np.testing.assert_array_equal(result, preprocess(tf.constant(picture)))
        np.testing.assert_array_equal(exported(tf.constant(picture)), result)


@pytest.mark.parametrize("options", [{"crop": 0.8, "interpolation": "area"}, {"fit": "letterbox"}])
def test_dictionary_round_trip(options):
    preprocess = Preprocessing((20, 30), **options, **IMAGENET)
    assert Preprocessing.from_dict(json.loads(json.dumps(preprocess.to_dict()))) == preprocess


def test_dictionaries_saved_before_there_was_a_letterbox_mean_crop():
    config = {key: value for key, value in Preprocessing((20, 30), crop=0.8).to_dict().items() if key != "fit"}
    assert Preprocessing.from_dict(config) == Preprocessing((20, 30), crop=0.8, fit="crop")


def test_unknown_keys_are_refused():
    with pytest.raises(ValueError, match="crap"):
        Preprocessing.from_dict({"image_size": [20, 30], "crap": 1.0})


@pytest.mark.parametrize(
    "wrong",
    [
        {"image_size": 224},
        {"image_size": (224, 0)},
        {"image_size": (224, 224, 3)},
        {"image_size": (224.0, 224)},
        {"mean": 0.5},
        {"std": (0.2, 0.0, 0.2)},
        {"std": (0.2, 0.2)},
        {"crop": 0},
        {"crop": 1.01},
        {"interpolation": "lanczos"},
        {"fit": "stretch"},
        {"crop": 0.9, "fit": "letterbox"},
    ],
)
def test_wrong_values_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Preprocessing(**{"image_size": (4, 4), **wrong})


# letterbox


@pytest.mark.parametrize(
    ("shape", "target", "rows", "columns"),
    [
        ((50, 100), (64, 64), (16, 48), (0, 64)),
        ((100, 50), (64, 64), (0, 64), (16, 48)),
        ((30, 45), (60, 91), (0, 60), (0, 90)),  # a bar of one pixel lies on the right: half to even
        ((427, 640), (75, 41), (24, 51), (0, 41)),  # 41 * 427 / 640 = 27.4
        ((1, 1000), (31, 24), (15, 16), (0, 24)),
        ((31, 24), (31, 24), (0, 31), (0, 24)),
    ],
)
def test_letterbox_shows_the_whole_picture_between_bars_of_the_mean_color(shape, target, rows, columns):
    mean = (0.2, 0.4, 0.6)
    preprocess = Preprocessing(target, mean=mean, fit="letterbox")
    result = preprocess.resize(tf.fill([*shape, 3], tf.constant(255, tf.uint8))).numpy()
    white = np.zeros(target, bool)
    white[slice(*rows), slice(*columns)] = True
    np.testing.assert_allclose(result[white], 255, atol=1e-3)
    np.testing.assert_allclose(result[~white], np.tile(255 * np.array(mean), [(~white).sum(), 1]), rtol=1e-6)
    np.testing.assert_allclose(preprocess(tf.zeros([*shape, 3], tf.uint8)).numpy()[~white], 0, atol=1e-6)


def test_letterbox_resizes_as_pillow(photo):
    result = Preprocessing((90, 120), fit="letterbox").resize(tf.constant(photo)).numpy()
    resized = np.asarray(Image.fromarray(photo).resize((120, 80), Image.Resampling.BILINEAR))
    assert np.abs(result[5:85] - resized).mean() < 0.5


@pytest.mark.parametrize("options", [{"fit": "letterbox"}, {"fit": "crop", "crop": 0.8}, {"fit": "crop"}])
@pytest.mark.parametrize("shape", [(75, 131), (131, 75), (40, 40)])
def test_boxes_follow_the_pixels_into_the_input_and_back(options, shape):
    box = np.array([[0.4, 0.3, 0.7, 0.6]])
    top, left, bottom, right = np.rint(box[0] * np.tile(shape, 2)).astype(int)
    image = np.zeros([*shape, 3], np.uint8)
    image[top:bottom, left:right] = 255
    box = np.array([[top, left, bottom, right]]) / np.tile(shape, 2)
    preprocess = Preprocessing((64, 91), mean=(0.0, 0.0, 0.0), **options)

    white = preprocess.resize(tf.constant(image)).numpy()[..., 0] > 127
    rows, columns = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
    mapped = preprocess.boxes_to_input(box, np.array(shape))
    expected = np.clip(mapped[0] * [64, 91, 64, 91], 0, [64, 91, 64, 91])
    assert np.abs(expected - [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]).max() <= 1
    np.testing.assert_allclose(preprocess.boxes_to_picture(mapped, np.array(shape)), box, atol=1e-6)


def test_boxes_of_a_batch_of_pictures_of_several_sizes():
    preprocess = Preprocessing((64, 91), fit="letterbox")
    boxes = np.random.default_rng(0).uniform(size=[2, 5, 4])
    sizes = np.array([[75, 131], [333, 40]])
    together = preprocess.boxes_to_input(boxes, sizes)
    assert isinstance(together, np.ndarray)
    for i in range(2):
        np.testing.assert_allclose(together[i], preprocess.boxes_to_input(boxes[i], sizes[i]), atol=1e-6)
    back = tf.function(preprocess.boxes_to_picture)(tf.constant(together), tf.constant(sizes))
    np.testing.assert_allclose(back, boxes, atol=1e-5)


def test_module_does_not_import_tensorflow():
    import ast
    import inspect

    from mixer_tf.data import preprocess

    imports = [node for node in ast.parse(inspect.getsource(preprocess)).body if isinstance(node, ast.Import)]
    assert all(name.name != "tensorflow" for node in imports for name in node.names)
