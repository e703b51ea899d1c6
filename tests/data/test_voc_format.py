import numpy as np
import pytest
from PIL import Image

from mixer_tf.data.sources import open_detection

OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
    "<ymax>{}</ymax></bndbox></object>"
)
SIZE = "<size><width>30</width><height>20</height><depth>3</depth></size>"


def xml(name, *objects, size=SIZE):
    return (
        f"<annotation><filename>{name}.jpg</filename>{size}{''.join(OBJECT.format(*o) for o in objects)}</annotation>"
    )


@pytest.fixture
def voc(tmp_path):
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    texts = {
        "000001": xml("000001", ("dog", 0, 1, 1, 30, 20), ("cat", 1, 4, 3, 9, 12)),
        "000005": xml("000005"),
        "000009": xml("000009", ("bird", 0, 2, 2, 3, 3)),
    }
    for name, text in texts.items():
        (tmp_path / "Annotations" / f"{name}.xml").write_text(text)
        Image.new("RGB", (30, 20), (200, 10, 10)).save(tmp_path / "JPEGImages" / f"{name}.jpg")
    write_lists(tmp_path, train="000001\n000005\n", val="000009\n", dog_train="000001  1\n000005 -1\n")
    return tmp_path


def write_lists(root, **lists):
    for name, text in lists.items():
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text(text)


def test_boxes_count_pixels_from_one_and_include_the_last(voc):
    source = open_detection(f"voc:{voc}")
    assert source.class_names == ("bird", "cat", "dog")
    assert source.category_ids is None
    assert (source.train.name, source.evaluation.name) == ("train", "val")
    truth = source.train.truth(0)
    np.testing.assert_allclose(truth["boxes"][0], [0, 0, 1, 1])
    np.testing.assert_allclose(truth["boxes"][1] * [20, 30, 20, 30], [2, 3, 12, 9], rtol=1e-6)
    np.testing.assert_allclose(truth["areas"], [600, 60], rtol=1e-6)
    np.testing.assert_array_equal(truth["classes"], [2, 1])
    assert [int(s.truth(i)["image_id"]) for s in (source.train, source.evaluation) for i in range(s.size)] == [0, 1, 2]


def test_difficult_objects_are_evaluated_but_not_trained_on(voc):
    source = open_detection(f"voc:{voc}")
    np.testing.assert_array_equal(source.train.truth(0)["difficult"], [False, True])
    assert source.dropped == {"difficult": 1}
    record = source.train.read(0)
    np.testing.assert_array_equal(record["classes"], [2])
    assert record["image"].shape == (20, 30, 3)
    assert source.train.read(1)["boxes"].shape == (0, 4)


def test_with_a_test_list_all_of_trainval_is_trained_on(voc):
    write_lists(voc, trainval="000001\n000005\n", test="000009\n")
    source = open_detection(f"voc:{voc}")
    assert (source.train.name, source.evaluation.name) == ("trainval", "test")


def test_a_picture_may_have_another_extension(voc):
    (voc / "JPEGImages" / "000005.jpg").unlink()
    Image.new("RGB", (30, 20), (1, 2, 3)).save(voc / "JPEGImages" / "000005.png")
    (voc / "Annotations" / "000005.xml").write_text(xml("000005").replace("000005.jpg", "../elsewhere/000005.png"))
    image = open_detection(f"voc:{voc}").train.read(1)["image"]
    np.testing.assert_array_equal(image[0, 0], [1, 2, 3])


def test_splits_that_share_pictures_are_refused(voc):
    write_lists(voc, trainval="000001\n000009\n")
    with pytest.raises(ValueError, match=r"trainval and val share 1, the first is .*000009\.jpg"):
        open_detection(f"voc:{voc}", train_split="trainval")


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><annotation>&b;</annotation>',
        '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><annotation>&c;</annotation>',
        "<annotation>",
        "",
    ],
)
def test_entities_and_broken_files_are_refused(voc, text):
    path = voc / "Annotations" / "000005.xml"
    for encoding in ("utf-8", "utf-16"):  # in which a plain search would not find the declaration
        path.write_text(text, encoding=encoding)
        with pytest.raises(ValueError, match=r"000005\.xml must be an XML file in the format of VOC") as caught:
            open_detection(f"voc:{voc}")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (xml("000005", ("dog", 0, "a", 1, 2, 3)), "000005.xml in .* must have numbers"),
        (xml("000005", ("dog", 0, "", 1, 2, 3)), "must hold <bndbox/xmin>"),
        (xml("000005", ("", 0, 1, 1, 2, 3)), "must hold <name>"),
        (xml("000005", size=SIZE.replace("30", "31")), r"1 of 2 .*000005.jpg \(20x30 pixels, annotated as 20x31\)"),
    ],
)
def test_wrong_annotations_are_named(voc, text, message):
    (voc / "Annotations" / "000005.xml").write_text(text)
    with pytest.raises(ValueError, match=message):
        open_detection(f"voc:{voc}")


def test_what_is_not_there_is_named(voc, tmp_path):
    with pytest.raises(ValueError, match="given: 'nope'"):
        open_detection(f"voc:{voc}", train_split="nope")
    (voc / "JPEGImages" / "000005.jpg").unlink()
    with pytest.raises(ValueError, match=r"1 of 2 of the split train are not, .*000005.jpg \(missing\)"):
        open_detection(f"voc:{voc}")
    (voc / "Annotations" / "000005.xml").unlink()
    with pytest.raises(ValueError, match=r"every picture of a split must have its annotations; .*000005\.xml"):
        open_detection(f"voc:{voc}")
    with pytest.raises(ValueError, match="voc:FOLDER must hold JPEGImages"):
        open_detection(f"voc:{tmp_path / 'nothing'}")
