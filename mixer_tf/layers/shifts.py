"""Shifts of feature maps along rows and columns: no weights, and nothing computed but where a pixel comes from."""

import itertools

import keras
import numpy as np
from keras import layers, ops

ROWS, COLUMNS = 1, 2  # axes of [b, h, w, c]
BORDERS = ("zeros", "edge", "wrap")


def shift_groups(x, distances, axis: int, *, border: str, name: str | None = None):
    """Cut the channels into as many groups as distances and shift each by its own: `[b, h, w, c] -> [b, h, w, c]`.

    What stood at `p` stands at `p + distance` afterwards. Groups are consecutive and have `ceil(c / groups)` channels,
    the last ones fewer or none (as `torch.chunk` cuts).

    Args:
        x: the feature map.
        distances: pixels for each group, down or to the right; negative up or to the left.
        axis: `ROWS` moves along the height, `COLUMNS` along the width.
        border: what comes in at the border: `"zeros"`, `"edge"` (every pixel that would be filled keeps its own value,
            as S2-MLP does), or `"wrap"` (what left at the other side).
        name: name of the layer.

    Raises:
        ValueError: when the border is none of the three.
    """
    widths = chunk_widths(x.shape[-1], len(distances))
    moves = [(distance, 0) if axis == ROWS else (0, distance) for distance in distances[: len(widths)]]
    return ShiftChannels(moves, widths, border=border, name=name)(x)


def chunk_widths(channels: int, groups: int) -> tuple[int, ...]:
    """Channels of each group as `torch.chunk` cuts them: `ceil(channels / groups)`, the last fewer or none.

    Example:
        >>> chunk_widths(12, 5)
        (3, 3, 3, 3)
    """
    width = -(-channels // groups)
    return tuple(min(width, channels - start) for start in range(0, channels, width))


def quarter_widths(channels: int) -> tuple[int, ...]:
    """Channels of each of S2-MLP's four groups, which end at `channels * n // 4`.

    Example:
        >>> quarter_widths(18)
        (4, 5, 4, 5)
    """
    ends = [channels * n // 4 for n in range(5)]
    return tuple(end - start for start, end in itertools.pairwise(ends))


@keras.saving.register_keras_serializable(package="mixer_tf")
class ShiftChannels(layers.Layer):
    """Shift groups of channels, each by its own rows and columns: `[b, h, w, c] -> [b, h, w, c]`.

    It is a depthwise convolution with ones and zeros: measured at [8, 56, 56, 96] on a CPU, a third of the time of
    slices and concatenations, and a seventh with the gradient. It owns no weights, but as a layer it saves its moves
    and not its taps.

    Args:
        moves: (rows, columns) of each group, down and to the right; negative up and to the left.
        widths: channels of each group, in the order of the channels.
        border: what comes in at the border, as in `shift_groups`.

    Raises:
        ValueError: when the border is unknown, or the widths do not fit the moves or the channels.
    """

    def __init__(self, moves, widths, border: str = "zeros", **kwargs):
        super().__init__(**kwargs)
        if border not in BORDERS:
            raise ValueError(f"border must be one of {', '.join(BORDERS)}; given: {border!r}")
        self.moves, self.widths, self.border = tuple(map(tuple, moves)), tuple(widths), border
        if len(self.moves) != len(self.widths):
            raise ValueError(f"widths must name one width per move; given: {len(self.widths)}, {len(self.moves)} moves")

    def build(self, input_shape):
        *size, channels = input_shape[1:]
        if sum(self.widths) != channels:
            raise ValueError(f"widths must add up to {channels} channels; given: {self.widths}")
        moves = np.repeat(self.moves, self.widths, axis=0)  # [c, 2]
        if self.border == "wrap":  # the shorter way round
            half = np.array(size) // 2
            moves = (moves + half) % size - half
        self.reach = np.abs(moves).max(axis=0).tolist()
        self.taps = np.zeros((2 * self.reach[0] + 1, 2 * self.reach[1] + 1, channels, 1), "float32")
        self.taps[self.reach[0] - moves[:, 0], self.reach[1] - moves[:, 1], np.arange(channels)] = 1
        sources = [np.arange(side)[:, None] - moves[:, axis] for axis, side in enumerate(size)]  # [h, c], [w, c]
        outside = [((at < 0) | (at >= side)).astype("float32") for at, side in zip(sources, size, strict=True)]
        self.kept = outside[0][:, None], outside[1][None]  # [h, 1, c], [1, w, c]

    def call(self, x):
        y = x
        if self.border == "wrap":
            for axis, n in zip((ROWS, COLUMNS), self.reach, strict=True):
                size = x.shape[axis]
                ends = _along(y, axis, size - n, size), _along(y, axis, 0, n)
                y = ops.concatenate([ends[0], y, ends[1]], axis=axis) if n else y
        padding = "valid" if self.border == "wrap" else "same"
        y = ops.depthwise_conv(y, ops.convert_to_tensor(self.taps, dtype=x.dtype), padding=padding)
        if self.border == "edge":
            rows, columns = (ops.convert_to_tensor(part, dtype=x.dtype) for part in self.kept)
            y = y + x * ops.maximum(rows, columns)
        return y

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "moves": self.moves, "widths": self.widths, "border": self.border}


def _along(x, axis, start, stop):
    return x[:, start:stop] if axis == ROWS else x[:, :, start:stop]
