"""Encoded pictures to pixels, in graph operations only: the same function is traced into the exported model."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

import tensorflow as tf

MAX_PIXELS = 178_956_970  # where PIL too refuses a picture as a decompression bomb; 512 MiB of RGB
_GIF_FRAME, _GIF_EXTENSION = 0x2C, 0x21


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
    """Decode a JPEG, PNG, GIF (first frame) or BMP picture into RGB.

    Greyscale, palette, CMYK and 16-bit pictures become 8-bit RGB; of 16 bits the higher 8 are kept. Alpha is dropped,
    not composited, as in PIL's `convert("RGB")`, with which published models were trained and evaluated. JPEG is
    decoded with the accurate transform, which agrees with PIL's.

    Args:
        encoded: Scalar string tensor, the bytes of the file.

    Returns:
        uint8 [h, w, 3].

    Raises:
        tf.errors.InvalidArgumentError: If the bytes are no such picture, or broken, or their header announces more
            than `MAX_PIXELS` pixels, in a GIF those of its frames together (checked before anything is decoded).

    Example:
        >>> decode_image(tf.io.encode_png(tf.zeros([4, 6, 1], tf.uint8))).shape
        TensorShape([4, 6, 3])
    """
    encoded = tf.convert_to_tensor(encoded, tf.string)
    image = tf.case(
        [
            (_starts_with(encoded, b"\xff\xd8\xff"), lambda: _decode_jpeg(encoded)),
            (_starts_with(encoded, b"\x89PNG\r\n\x1a\n"), lambda: _decode_png(encoded)),
        ],
        default=lambda: _decode_rare(encoded),
    )
    return tf.ensure_shape(image, [None, None, 3])


def find_broken(paths: Sequence[str | os.PathLike[str]]) -> list[tuple[str, str]]:
    """Decode every file once, in parallel, and list those that cannot be decoded.

    Args:
        paths: Picture files.

    Returns:
        Pairs of path and reason, in the order of `paths`; empty if all is well.
    """
    results = zip(paths, measure_pictures(paths), strict=True)
    return [(os.fsdecode(path), result) for path, result in results if isinstance(result, str)]


def measure_pictures(paths: Sequence[str | os.PathLike[str]]) -> list[tuple[int, int] | str]:
    """Decode every file once, in parallel.

    Args:
        paths: Picture files.

    Returns:
        For each path the picture's height and width in pixels, or, where it cannot be decoded, the reason.
    """
    names = [os.fsencode(path) for path in paths]  # bytes: a name need not be UTF-8
    decoded = tf.data.Dataset.from_tensor_slices(tf.constant(names, tf.string, shape=[len(names)])).map(
        lambda path: tf.shape(decode_image(tf.io.read_file(path))),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    shapes = iter(decoded)
    results: list[tuple[int, int] | str] = []
    for _ in names:  # each call of next() answers for exactly one file, be it with an error
        try:
            height, width, _ = next(shapes).numpy().tolist()
            results.append((height, width))
        except tf.errors.OpError as error:
            results.append(_reason(error))
    return results


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    height, width, _ = tf.unstack(tf.cast(tf.io.extract_jpeg_shape(encoded), tf.int64))
    with _size_checked(height, width):
        return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def _decode_png(encoded: tf.Tensor) -> tf.Tensor:
    with _size_checked(_integer(encoded, 20, 4, "big"), _integer(encoded, 16, 4, "big")):
        return tf.io.decode_png(encoded, channels=3)


# Not inlined: else the executor visits all these operations for every JPEG and PNG too, which takes 0.3 ms.
@tf.function(experimental_attributes={"_noinline": True})
def _decode_rare(encoded: tf.Tensor) -> tf.Tensor:
    return tf.case(
        [
            (_starts_with(encoded, b"GIF8"), lambda: _decode_gif(encoded)),
            (_starts_with(encoded, b"BM"), lambda: _decode_bmp(encoded)),
        ],
        default=lambda: _refuse(encoded),
    )


def _decode_gif(encoded: tf.Tensor) -> tf.Tensor:
    with _size_checked(_gif_pixels(encoded)):
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)


def _gif_pixels(encoded: tf.Tensor) -> tf.Tensor:
    """The pixels of all frames together: giflib unpacks every frame, at its own size, before the first is returned."""
    data = tf.concat([tf.io.decode_raw(encoded, tf.uint8), [0]], axis=0)

    def byte(at: tf.Tensor) -> tf.Tensor:  # behind the end all is 0, which ends every loop
        return tf.cast(data[tf.minimum(at, tf.size(data, tf.int64) - 1)], tf.int64)

    def after_colors(at: tf.Tensor, flags: tf.Tensor) -> tf.Tensor:
        return at + tf.where(flags >= 128, 3 * 2 ** (flags % 8 + 1), 0)

    def is_block(at: tf.Tensor, _) -> tf.Tensor:
        return (byte(at) == _GIF_FRAME) | (byte(at) == _GIF_EXTENSION)

    def skip_block(at: tf.Tensor, pixels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        is_frame = byte(at) == _GIF_FRAME
        width, height = (byte(at + i) + 256 * byte(at + i + 1) for i in (5, 7))
        start = tf.where(is_frame, after_colors(at + 10, byte(at + 9)) + 1, at + 2)
        (end,) = tf.while_loop(lambda at: byte(at) > 0, lambda at: [at + 1 + byte(at)], [start])  # pieces of data
        return end + 1, pixels + tf.where(is_frame, width * height, 0)

    header_end = tf.constant(13, tf.int64)
    first = after_colors(header_end, byte(header_end - 3))
    return tf.while_loop(is_block, skip_block, [first, tf.constant(0, tf.int64)])[1]


def _decode_bmp(encoded: tf.Tensor) -> tf.Tensor:
    height = _integer(encoded, 22, 4)
    height = tf.minimum(height, 2**32 - height)  # negative (top row first) in two's complement
    with _size_checked(height, _integer(encoded, 18, 4)):
        return tf.cond(
            _integer(encoded, 28, 2) == 8,  # bits per pixel
            lambda: _decode_palette_bmp(encoded),
            lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
        )


def _decode_palette_bmp(encoded: tf.Tensor) -> tf.Tensor:
    """Look the colours up: TensorFlow takes the indices of an 8-bit BMP for grey levels."""
    start, end = 14 + _integer(encoded, 14, 4), _integer(encoded, 10, 4)
    palette = tf.io.decode_raw(tf.strings.substr(encoded, start, end - start), tf.uint8)
    blue_green_red = tf.reshape(palette, [-1, 4])[:, :3]
    indices = tf.io.decode_bmp(encoded)[..., 0]
    return tf.gather(blue_green_red[:, ::-1], tf.cast(indices, tf.int32))


def _refuse(encoded: tf.Tensor) -> tf.Tensor:
    # The bytes themselves are not shown: where they are no UTF-8, TensorFlow would raise a UnicodeDecodeError instead.
    message = "the file must be a JPEG, PNG, GIF or BMP picture, this is something else, its number of bytes is"
    with tf.control_dependencies([tf.debugging.Assert(False, [message, tf.strings.length(encoded)])]):
        return tf.zeros([0, 0, 3], tf.uint8)


def _starts_with(encoded: tf.Tensor, magic: bytes) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, len(magic)) == magic


def _size_checked(*sides: tf.Tensor):
    """A context in which decoding waits for the check of the size that the file announces."""
    pixels = tf.reduce_prod(tf.cast(tf.stack(sides), tf.float64))  # a product of integers might wrap around
    message = f"a picture must have at most {MAX_PIXELS} pixels, this file announces"
    return tf.control_dependencies([tf.debugging.Assert(pixels <= MAX_PIXELS, [message, pixels])])


def _integer(encoded: tf.Tensor, start: int, length: int, byte_order: str = "little") -> tf.Tensor:
    """Read an unsigned integer out of the header: int64 scalar. What is missing from a short file reads as 0."""
    header = tf.io.decode_raw(encoded, tf.uint8, fixed_length=start + length)
    powers = [256**i for i in (range(length) if byte_order == "little" else reversed(range(length)))]
    return tf.reduce_sum(tf.cast(header[start:], tf.int64) * tf.constant(powers, tf.int64))


def _reason(error: tf.errors.OpError) -> str:
    """The first line of an error without TensorFlow's notes on where in the graph it happened."""
    line = str(error.message).strip().split("\n")[0]
    line = re.sub(r"\{\{.*?\}\} *| *\[(Op|\[\{).*", "", line)
    line = re.sub(r"^Error in user-defined function .*? transformation with iterator: [\w:]+: ", "", line)
    return re.sub(r"^assertion failed: \[(.*?)\] \[(.*?)\]$", r"\1 \2", line)
