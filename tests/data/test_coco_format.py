import json
import logging

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from mixer_tf.data.augment_boxes import DetectionAugmentation
from mixer_tf.data.detection import eval_detection_dataset, train_detection_dataset
from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.data.sources import open_detection

CATEGORIES = [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}, {"id": 90, "name": "toothbrush"}]
# (category, [left, top, width, height], further keys): all that another program may write.
OBJECTS = {
    7: [
        (18, [2, 3, 10, 5], {"area": 31.5}),
        (3, [20, 10, 20, 20], {}),  # reaches 4 pixels beyond the right border
        (90, [1, 1, 8, 8], {"iscrowd": 1, "area": 40}),
    ],
    21: [],
    400: [
        (3, [5, 5, 0, 7], {}),  # no area
        (3, [50, 5, 6, 7], {}),  # outside
        (77, [1, 1, 5, 5], {}),  # no such category
        (18, [1, float("nan"), 5, 5], {}),
        (18, [9, 9, -3, 5], {}),
        (90, [0, 0, 36, 24], {}),
    ],
}


def write_images(folder, ids, size=(36, 24)):
    folder.mkdir(parents=True, exist_ok=True)
    for image_id in ids:
        Image.new("RGB", size, (image_id % 256, 0, 0)).save(folder / f"{image_id:04}.png")


def content(objects=OBJECTS, categories=CATEGORIES, **changes):
    images = [{"id": i, "file_name": f"{i:04}.png", "height": 24, "width": 36} for i in objects]
    annotations = [
        {"id": 1000 + i, "image_id": image_id, "category_id": category, "bbox": box, **more}
        for i, (image_id, category, box, more) in enumerate((i, *o) for i, rows in objects.items() for o in rows)
    ]
    return {"images": images, "annotations": annotations, "categories": categories} | changes


@pytest.fixture
def coco(tmp_path):
    """The usual layout: two splits, whose pictures have ids with gaps."""
    (tmp_path / "annotations").mkdir()
    for split, objects in (("train2017", OBJECTS), ("val2017", {5: [(18, [1, 2, 3, 4], {})], 6: []})):
        (tmp_path / "annotations" / f"instances_{split}.json").write_text(json.dumps(content(objects)))
        write_images(tmp_path / split, objects)
    return tmp_path


def annotations(folder, split="train2017"):
    return folder / "annotations" / f"instances_{split}.json"


def test_the_usual_layout(coco):
    source = open_detection(f"coco:{coco}")
    assert (source.train.name, source.evaluation.name) == ("train2017", "val2017")
    assert (source.train.size, source.evaluation.size) == (3, 2)
    assert source.class_names == ("car", "dog", "toothbrush")
    assert source.category_ids == (3, 18, 90)
    assert source.skipped == 0


def test_every_dropped_object_is_counted_by_reason(coco, caplog):
    with caplog.at_level(logging.WARNING, "mixer_tf"):
        source = open_detection(f"coco:{coco}")
    assert source.dropped == {
        "crowd": 1,
        "zero_area": 1,
        "outside": 1,
        "unknown_class": 1,
        "not_finite": 1,
        "negative_size": 1,
    }
    assert "1 objects are not trained on: zero area" in caplog.text
    np.testing.assert_array_equal(source.train.counts, [2, 0, 1])


def test_training_reads_clipped_boxes_and_pictures_without_objects(coco):
    source = open_detection(f"coco:{coco}")
    dataset = tf.data.Dataset.range(3).map(source.train.read)
    first, second, third = dataset.as_numpy_iterator()
    assert first["image"].shape == (24, 36, 3)
    assert [example["image"][0, 0, 0] for example in (first, second, third)] == [7, 21, 400 % 256]
    np.testing.assert_allclose(first["boxes"], [[3 / 24, 2 / 36, 8 / 24, 12 / 36], [10 / 24, 20 / 36, 1, 1]], rtol=1e-6)
    np.testing.assert_array_equal(first["classes"], [1, 0])
    assert second["boxes"].shape == (0, 4)
    np.testing.assert_array_equal(third["boxes"], [[0, 0, 1, 1]])
    np.testing.assert_array_equal(third["classes"], [2])


def test_truth_is_what_coco_evaluates_against(coco):
    source = open_detection(f"coco:{coco}")
    truth = source.train.truth(0)
    assert (truth["image_id"], truth["height"], truth["width"]) == (7, 24, 36)
    np.testing.assert_allclose(truth["boxes"][1] * [24, 36, 24, 36], [10, 20, 30, 40], rtol=1e-6)  # not clipped
    np.testing.assert_array_equal(truth["classes"], [1, 0, 2])
    np.testing.assert_array_equal(truth["areas"], [31.5, 400, 40])
    np.testing.assert_array_equal(truth["crowd"], [False, False, True])
    np.testing.assert_array_equal(truth["difficult"], [False] * 3)
    assert [len(source.train.truth(i)["boxes"]) for i in range(3)] == [3, 0, 3]
    assert source.train.truth(2)["image_id"] == 400


def test_one_file_of_which_a_fixed_fifth_is_held_out(tmp_path):
    objects = {3 * i: [(18, [1, 2, 3, 4], {})] for i in range(10)}
    (tmp_path / "all.json").write_text(json.dumps(content(objects)))
    write_images(tmp_path / "pictures", objects)
    data = f"coco:{tmp_path / 'all.json'}:{tmp_path / 'pictures'}"
    ids = []
    for _ in range(2):
        source = open_detection(data)
        assert (source.train.size, source.evaluation.size) == (8, 2)
        ids.append(
            [[int(part.truth(i)["image_id"]) for i in range(part.size)] for part in (source.train, source.evaluation)]
        )
    assert ids[0] == ids[1]
    assert sorted(ids[0][0] + ids[0][1]) == sorted(objects)


def test_two_files(coco):
    data = f"coco:{annotations(coco)}:{coco / 'train2017'}"
    source = open_detection(data, eval_split=f"{annotations(coco, 'val2017')}:{coco / 'val2017'}")
    assert (source.train.size, source.evaluation.size) == (3, 2)
    with pytest.raises(ValueError, match="leave train_split out"):
        open_detection(data, train_split="train2017")


def test_the_same_pictures_for_training_and_evaluation_are_refused(coco):
    data = f"coco:{annotations(coco)}:{coco / 'train2017'}"
    (coco / "copy.json").write_text(annotations(coco).read_text())
    with pytest.raises(ValueError, match=r"must share no picture, .* share 3, the first is .*0007"):
        open_detection(data, eval_split=str(coco / "copy.json"))
    with pytest.raises(ValueError, match="train2017 and train2017 share 3"):
        open_detection(f"coco:{coco}", eval_split="train2017")


def test_batches_of_what_another_program_wrote(coco):
    source = open_detection(f"coco:{coco}")
    preprocessing = Preprocessing((30, 44), fit="letterbox")
    augmentation = DetectionAugmentation(scale_jitter=(0.5, 2.0), mosaic=0.5)
    batches = train_detection_dataset(
        source.train, preprocessing=preprocessing, augmentation=augmentation, max_objects=7, batch_size=3, seed=0
    )
    seen = set()
    for images, labels in batches.take(8).as_numpy_iterator():
        assert images.shape == (3, 30, 44, 3)
        assert np.isfinite(labels).all()
        assert ((labels[..., :4] >= 0) & (labels[..., :4] <= 1)).all()
        seen |= set(labels[..., 4].ravel())
    assert seen == {-1.0, 0.0, 1.0, 2.0}
    [(images, labels)] = eval_detection_dataset(
        source.evaluation, preprocessing=preprocessing, max_objects=7, batch_size=3
    )
    np.testing.assert_array_equal(labels[:, 0, 4], [1, -1])


def test_missing_and_broken_pictures_are_listed_or_skipped_and_counted(coco, caplog):
    write_images(coco / "train2017", [21], size=(24, 36))  # not the annotated size
    (coco / "train2017" / "0400.png").unlink()
    with pytest.raises(ValueError, match=r"2 of 3 .*0021.png \(36x24 .* as 24x36\); .*0400.png \(missing\)") as caught:
        open_detection(f"coco:{coco}")
    assert "\n" not in str(caught.value)
    source = open_detection(f"coco:{coco}", skip_broken=True)
    assert (source.skipped, source.train.size) == (2, 1)
    assert source.dropped == {"crowd": 1}
    assert "skipped the picture" in caplog.text


def test_of_many_missing_pictures_five_are_listed(tmp_path):
    objects = {i: [] for i in range(9)}
    (tmp_path / "all.json").write_text(json.dumps(content(objects)))
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match="7 of 7") as caught:
        open_detection(f"coco:{tmp_path / 'all.json'}:{tmp_path / 'none'}")
    assert str(caught.value).count(".png") == 5


def test_annotations_of_images_that_are_not_listed_are_counted(coco):
    changed = content()
    changed["annotations"].append({"id": 1, "image_id": 8, "category_id": 18, "bbox": [0, 0, 2, 2]})
    annotations(coco).write_text(json.dumps(changed))
    assert open_detection(f"coco:{coco}").dropped["unknown_image"] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        "no JSON",
        "[]",
        "{}",
        json.dumps(content(categories=[{"name": "dog"}])),
        json.dumps(content({1: [(18, [1, 2, 3], {})]})),
        json.dumps(content({1: [(18, None, {})]})),
        json.dumps(content(images=[{"id": 1, "file_name": "a.png"}] * 2)),
    ],
)
def test_a_file_that_is_not_coco_in_one_line(coco, wrong):
    annotations(coco).write_text(wrong)
    with pytest.raises(ValueError, match="must be a JSON file of COCO's format") as caught:
        open_detection(f"coco:{coco}")
    assert "\n" not in str(caught.value)


def test_files_that_do_not_fit_or_are_not_there(coco, tmp_path):
    annotations(coco, "val2017").write_text(json.dumps(content(categories=CATEGORIES[:2])))
    with pytest.raises(ValueError, match="both annotation files must have the same categories"):
        open_detection(f"coco:{coco}")
    annotations(coco).write_text(json.dumps(content(categories=[])))
    with pytest.raises(ValueError, match="must list categories and images; given: 0 categories"):
        open_detection(f"coco:{coco}")
    with pytest.raises(ValueError, match="coco:FOLDER must hold a folder annotations"):
        open_detection(f"coco:{tmp_path / 'nothing'}")
    with pytest.raises(ValueError, match=r"can be read; given: .*nothing\.json"):
        open_detection(f"coco:{tmp_path / 'nothing.json'}:{tmp_path}")
