"""Shifts of feature maps along rows or columns, as slices and concatenations: no weights, no arithmetic."""

from keras import ops

ROWS, COLUMNS = 1, 2  # axes of [b, h, w, c]
BORDERS = ("zeros", "edge", "wrap")


def shift(x, distance: int, axis: int, *, border: str):
    """Move the content of `[b, h, w, c]` by `distance` along an axis: `y[p] = x[p - distance]`.

    Args:
        x: the feature map.
        distance: pixels, down or to the right; negative up or to the left.
        axis: `ROWS` moves along the height, `COLUMNS` along the width.
        border: what comes in at the border: `"zeros"`, `"edge"` (every pixel that would be filled keeps its own value,
            as S2-MLP does), or `"wrap"` (what left at the other side).
    """
    size = x.shape[axis]
    if border == "wrap":
        distance %= size
    steps = min(abs(distance), size)
    if not steps:
        return x

    def part(start, stop):
        return x[:, start:stop] if axis == ROWS else x[:, :, start:stop]

    moved, filled = (
        (part(0, size - steps), part(0, steps)) if distance > 0 else (part(steps, size), part(size - steps, size))
    )
    if border == "zeros":
        filled = ops.zeros_like(filled)
    elif border == "wrap":  # the distance is positive here
        filled = part(size - steps, size)
    return ops.concatenate([filled, moved] if distance > 0 else [moved, filled], axis=axis)


def shift_groups(x, distances, axis: int, *, border: str):
    """Cut the channels into as many groups as distances and shift each by its own: `[b, h, w, c] -> [b, h, w, c]`.

    Groups are consecutive and have `ceil(c / groups)` channels, the last ones fewer or none (as `torch.chunk` cuts).
    """
    channels = x.shape[-1]
    width = -(-channels // len(distances))
    starts = range(0, channels, width)
    groups = [shift(x[..., i : i + width], d, axis, border=border) for i, d in zip(starts, distances, strict=False)]
    return ops.concatenate(groups, axis=-1)
