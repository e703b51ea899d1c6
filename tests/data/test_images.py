import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_images

from mixer_tf.data import images
from mixer_tf.data.images import decode_image, find_broken

PHOTO = Image.fromarray(load_sample_images().images[1][100:167, 200:301])  # 67 x 101


def encode(picture, kind, **options):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def with_alpha(picture):
    ramp = np.tile(np.linspace(0, 255, picture.width).astype(np.uint8), (picture.height, 1))
    picture = picture.copy()
    picture.putalpha(Image.fromarray(ramp))
    return picture


RED, GREEN, BLUE = PHOTO.split()
MODES = {
    "jpeg": encode(PHOTO, "JPEG"),
    "jpeg progressive": encode(PHOTO, "JPEG", progressive=True),
    "jpeg grey": encode(PHOTO.convert("L"), "JPEG"),
    "jpeg cmyk": encode(Image.merge("CMYK", (RED, GREEN, BLUE, RED)), "JPEG", quality=95),  # with Adobe's marker
    "png": encode(PHOTO, "PNG"),
    "png grey": encode(PHOTO.convert("L"), "PNG"),
    "png grey and alpha": encode(with_alpha(PHOTO.convert("L")), "PNG"),
    "png two colours": encode(PHOTO.convert("1"), "PNG"),
    "png palette": encode(PHOTO.convert("P"), "PNG"),
    "png palette, one transparent": encode(PHOTO.convert("P"), "PNG", transparency=3),
    "png alpha": encode(with_alpha(PHOTO), "PNG"),
    "gif": encode(PHOTO, "GIF"),
    "gif grey": encode(PHOTO.convert("L"), "GIF"),
    "gif animated": encode(PHOTO, "GIF", save_all=True, append_images=[PHOTO.rotate(180)]),
    "bmp": encode(PHOTO, "BMP"),
    "bmp grey": encode(PHOTO.convert("L"), "BMP"),
    "bmp palette": encode(PHOTO.convert("P"), "BMP"),
    "bmp palette of few": encode(PHOTO.quantize(20), "BMP"),
    "bmp alpha": encode(with_alpha(PHOTO), "BMP"),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_the_rgb_of_pillow(mode):
    result = decode_image(tf.constant(MODES[mode]))
    expected = np.asarray(Image.open(io.BytesIO(MODES[mode])).convert("RGB"))
    assert result.dtype == tf.uint8
    assert result.shape == (67, 101, 3)
    assert np.abs(result.numpy().astype(int) - expected).max() <= 2


def test_sixteen_bits_are_scaled_not_clipped():
    grey = np.arange(67 * 101, dtype=np.uint16).reshape(67, 101) * 9
    result = decode_image(tf.constant(encode(Image.fromarray(grey), "PNG"))).numpy()
    np.testing.assert_allclose(result, np.repeat(grey[..., np.newaxis] / 257, 3, axis=-1), atol=1)


def test_negative_height_of_a_bmp_means_top_row_first():
    upside_down = bytearray(MODES["bmp grey"])
    upside_down[22:26] = struct.pack("<i", -67)
    result = decode_image(tf.constant(bytes(upside_down)))
    np.testing.assert_array_equal(result, decode_image(tf.constant(MODES["bmp grey"]))[::-1])


def announce(mode, position, fields, *values):
    data = bytearray(MODES[mode])
    struct.pack_into(fields, data, position, *values)
    return bytes(data)


GIF_FRAME = MODES["gif"].index(struct.pack("<BHHHH", 0x2C, 0, 0, 101, 67))


def jpeg_announcing(height, width):
    position = MODES["jpeg"].index(b"\xff\xc0") + 5  # the frame header: marker, length, precision, height, width
    return announce("jpeg", position, ">HH", height, width)


@pytest.mark.parametrize(
    "bomb",
    [
        jpeg_announcing(60_000, 60_000),
        announce("png", 16, ">II", 60_000, 60_000),
        announce("png", 16, ">II", 2**31, 2**31),
        announce("png", 16, ">II", 2**32 - 1, 2**32 - 1),
        announce("gif", GIF_FRAME + 5, "<HH", 60_000, 60_000),  # its header still says 67 x 101
        announce("bmp", 18, "<ii", 60_000, 60_000),
        announce("bmp", 18, "<ii", 60_000, -60_000),
        announce("bmp palette", 18, "<ii", 60_000, 60_000),
    ],
)
def test_huge_picture_is_refused_by_its_header(bomb):
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most 178956970 pixels"):
        decode_image(tf.constant(bomb))


@pytest.mark.parametrize(
    ("mode", "pixels"),
    [(mode, 67 * 101) for mode in ("jpeg", "png", "gif", "bmp", "bmp palette")] + [("gif animated", 2 * 67 * 101)],
)
def test_limit_is_exact(mode, pixels, monkeypatch):
    monkeypatch.setattr(images, "_decode_rare", images._decode_rare.python_function)  # not traced with the old limit
    monkeypatch.setattr(images, "MAX_PIXELS", pixels)
    decode_image(tf.constant(MODES[mode]))
    monkeypatch.setattr(images, "MAX_PIXELS", pixels - 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at most"):
        decode_image(tf.constant(MODES[mode]))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"B",
        b"BM",
        b"GIF8",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"hello",
        b"\x00" * 99,
        bytes(range(255, 0, -1)),
    ],
)
def test_what_is_no_picture_is_an_error(data):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_image(tf.constant(data))


def test_other_formats_are_refused_with_the_list_of_known_ones():
    with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG, PNG, GIF or BMP"):
        decode_image(tf.constant(encode(PHOTO, "WEBP")))


def test_exported(tmp_path):
    module = tf.Module()
    module.f = tf.function(decode_image, input_signature=[tf.TensorSpec([], tf.string)])
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path)).f
    for data in MODES.values():
        np.testing.assert_array_equal(loaded(tf.constant(data)), decode_image(tf.constant(data)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="pixels"):
        loaded(tf.constant(jpeg_announcing(60_000, 60_000)))


def test_find_broken_names_every_broken_file_in_order(tmp_path):
    contents = {
        "a.jpg": MODES["jpeg"],
        "b truncated.jpg": MODES["jpeg"][:-200],
        "c.png": MODES["png"],
        "d truncated.png": MODES["png"][:-200],
        "e empty.jpg": b"",
        "f text.jpg": b"not a picture",
        "g truncated.gif": MODES["gif"][:-200],
        "h truncated.bmp": MODES["bmp"][:-200],
        "i.gif": MODES["gif"],
        "j bomb.jpg": jpeg_announcing(60_000, 60_000),
        "k progressive.jpg": MODES["jpeg progressive"][:-500],
        "l.bmp": MODES["bmp palette"],
        "m webp.jpg": encode(PHOTO, "WEBP"),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    paths = [tmp_path / name for name in [*contents, "missing.jpg"]]
    broken = find_broken(paths)
    assert [path for path, _ in broken] == [str(paths[i]) for i in (1, 3, 4, 5, 6, 7, 9, 10, 12, 13)]
    for _, reason in broken:
        assert reason
        assert "{{" not in reason
        assert "\n" not in reason
        assert "[Op:" not in reason
        assert "user-defined function" not in reason
        assert "assertion failed" not in reason


def test_find_broken_of_nothing():
    assert find_broken([]) == []
