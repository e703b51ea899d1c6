"""Stochastic depth (Huang et al. 2016, arXiv 1603.09382): whole branches are dropped, one draw per example."""

from keras import layers


def drop_path(y, rate: float, *, name: str):
    """Drop the branch `y` of an example with probability `rate` and divide it by `1 - rate` otherwise."""
    if not rate:
        return y
    return layers.Dropout(rate, noise_shape=(None,) + (1,) * (len(y.shape) - 1), name=name)(y)


def drop_path_rates(rate: float, num_blocks: int) -> list[float]:
    """Rates that rise linearly from 0 at the first block to `rate` at the last."""
    return [rate * i / max(num_blocks - 1, 1) for i in range(num_blocks)]
