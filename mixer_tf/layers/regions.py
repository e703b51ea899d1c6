"""Regions of neighbouring rows or columns, rolled and wrapped around: slices, concatenations and transposes alone."""

from keras import ops

from mixer_tf.layers.shifts import ROWS


def wrapped(x, start: int, count: int, axis: int):
    """`count` rows or columns of `[b, h, w, c]` from `start` on, going on at the other side where one ends.

    Slices and a concatenation even where one slice would do, and TensorFlow drops them: Keras lists a model's layers by
    their depth in the graph, which must not depend on the image's size, so that weights fit other sizes.
    """
    size = x.shape[axis]
    parts, position = [], start % size
    while count:
        length = min(count, size - position)
        stop = position + length
        parts.append(x[:, position:stop] if axis == ROWS else x[:, :, position:stop])
        position, count = 0, count - length
    return ops.concatenate(parts, axis=axis)


def to_regions(x, size: int, step: int, axis: int):
    """Roll by `step` and cut into regions of `size` pixels, the last one filled up with the first pixels.

    Rows: `[b, h, w, c] -> [b, ceil(h / size), w, size, c]`; columns: `[b, h, ceil(w / size), size, c]`.
    """
    length = -(-x.shape[axis] // size) * size
    x = wrapped(x, -step, length, axis)
    _, height, width, channels = x.shape
    if axis == ROWS:
        return ops.transpose(ops.reshape(x, (-1, height // size, size, width, channels)), (0, 1, 3, 2, 4))
    return ops.reshape(x, (-1, height, width // size, size, channels))


def from_regions(regions, length: int, step: int, axis: int):
    """Undo `to_regions` of a map with `length` rows or columns."""
    _, height, width, size, channels = regions.shape
    if axis == ROWS:
        x = ops.reshape(ops.transpose(regions, (0, 1, 3, 2, 4)), (-1, height * size, width, channels))
    else:
        x = ops.reshape(regions, (-1, height, width * size, channels))
    x = x[:, :length] if axis == ROWS else x[:, :, :length]
    return wrapped(x, step, length, axis)
