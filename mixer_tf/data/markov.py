"""Sources with a known entropy: Markov chains as text, and as rows of coloured patches.

What a model can know at best about a masked token of these is computed exactly in `mixer_tf.analysis.bayes`, so that a
loss can be compared with its floor.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import tensorflow as tf

from mixer_tf.checks import require, require_type
from mixer_tf.data.splits import ImageSource, Split
from mixer_tf.data.texts import TextSource, TextSplit
from mixer_tf.data.tokenizers import SpecialTokens

CONCENTRATION = 0.25  # of the Dirichlet distribution of the rows: few successors are likely
FLOOR = 0.02  # share of a uniform draw in every step, so that nothing is impossible
SPECIAL_NAMES = ("[PAD]", "[UNK]", "[CLS]", "[EOS]", "[SEP]", "[MASK]")
SPECIAL = SpecialTokens(pad=0, unknown=1, cls=2, eos=3, sep=4, mask=5)
TRAIN_SIZE, EVALUATION_SIZE = 65_536, 2_048
TRAIN, EVALUATION = 0, 1  # second half of the seed: the splits share no draw
TEXTURE = 8  # largest change of a pixel; a class is 32 wide and its colour in the middle


@dataclasses.dataclass(frozen=True, eq=False)
class MarkovChain:
    """A stationary Markov chain over k states; entropies are in nats.

    Args:
        transition: float64 [k, k], the probability of each next state (column) after each state (row); all positive.

    Raises:
        ValueError: If the rows are not distributions with positive probabilities only.

    Example:
        >>> chain = MarkovChain.from_seed(16, seed=0)
        >>> round(chain.entropy(1), 4), round(chain.stationary_entropy, 4)
        (1.8832, 2.6464)
    """

    transition: np.ndarray

    def __post_init__(self):
        transition = np.array(self.transition, np.float64)
        require(
            transition.ndim == 2
            and transition.shape[0] == transition.shape[1] >= 2
            and (transition > 0).all()
            and np.allclose(transition.sum(axis=1), 1, rtol=0, atol=1e-9),
            "transition must be a square matrix from 2x2 on with positive entries and rows that sum to 1; given: "
            f"{transition.tolist()}",
        )
        transition.flags.writeable = False
        object.__setattr__(self, "transition", transition)

    @classmethod
    def from_seed(cls, num_states: int, *, seed: int = 0) -> MarkovChain:
        """Draw a chain: rows of a Dirichlet distribution, mixed with a little of the uniform one."""
        require_type("num_states", num_states, int)
        require(num_states >= 2, f"num_states must be 2 or more; given: {num_states}")
        _require_seed(seed)
        rows = np.random.default_rng(seed).dirichlet(np.full(num_states, CONCENTRATION), num_states)
        return cls((1 - FLOOR) * rows + FLOOR / num_states)

    @property
    def num_states(self) -> int:
        """Number of states, k."""
        return len(self.transition)

    @functools.cached_property
    def stationary(self) -> np.ndarray:
        """Probability of each state far from the start, and here at the start too, float64 [k]."""
        equations = np.vstack([self.transition.T - np.eye(self.num_states), np.ones(self.num_states)])
        return np.linalg.lstsq(equations, np.append(np.zeros(self.num_states), 1.0), rcond=None)[0]

    @property
    def stationary_entropy(self) -> float:
        """Entropy of one state of which nothing is known: the loss of who looks at no other."""
        return float(-np.sum(self.stationary * np.log(self.stationary)))

    def entropy(self, step: int) -> float:
        """Entropy of the state that stands `step` (1 or more) after a known one; that of step 1 is the entropy rate."""
        require(step >= 1, f"step must be 1 or more; given: {step}")
        after = np.linalg.matrix_power(self.transition, step)
        return float(-np.sum(self.stationary[:, np.newaxis] * after * np.log(after)))

    def sample(self, length: int, seed: tf.Tensor) -> tf.Tensor:
        """Draw int32 [length] states, from the stationary distribution on; a function of the seed, an int [2]."""
        return self.walk(tf.random.stateless_uniform([length], seed, dtype=tf.float64))

    def walk(self, uniform: tf.Tensor) -> tf.Tensor:
        """Turn draws from [0, 1), float64 [..., t], into as many chains of states, int32 [..., t].

        A draw decides for every state which one comes next, so all steps are looked up at once, as t tables from the
        state before to the state after, and tables are joined in pairs: log2(t) operations instead of t.
        """
        first = _count_below(uniform[..., :1, tf.newaxis], np.cumsum(self.stationary))  # [..., 1, 1]
        after = _count_below(uniform[..., 1:, tf.newaxis], np.cumsum(self.transition, axis=1))  # [..., t - 1, k]
        anywhere = tf.zeros([self.num_states], tf.int32)
        tables = tf.concat([first + anywhere, after], axis=-2)  # [..., t, k]
        span = 1  # how many steps each table covers, once there are so many before it
        while span < tables.shape[-2]:
            joined = tf.gather(tables[..., span:, :], tables[..., :-span, :], batch_dims=tables.shape.rank - 1)
            tables = tf.concat([tables[..., :span, :], joined], axis=-2)
            span *= 2
        return tables[..., 0]


@dataclasses.dataclass(frozen=True, eq=False)
class MarkovText(TextSource):
    """Endless text of a chain, with the chain that it is drawn from."""

    chain: MarkovChain = dataclasses.field(kw_only=True)

    def states_of(self, token_ids: np.ndarray) -> np.ndarray:
        """The states between [CLS] and [EOS] of token ids [..., t], int [..., t - 2]; [MASK] becomes -1."""
        inner = np.asarray(token_ids)[..., 1:-1].astype(np.int64)
        return np.where(inner == self.special.mask, -1, inner - len(SPECIAL_NAMES))


@dataclasses.dataclass(frozen=True, eq=False)
class MarkovImages(ImageSource):
    """Pictures whose rows of patches are chains of colours, with the chain and the colours' classes, int64 [k]."""

    chain: MarkovChain = dataclasses.field(kw_only=True)
    color_classes: np.ndarray = dataclasses.field(kw_only=True)

    def states_of(self, classes: np.ndarray) -> np.ndarray:
        """The states of patches of these classes of mean colour, 0..511, int [...]; -1 where it is no colour of ours."""
        table = np.full(512, -1)
        table[self.color_classes] = np.arange(len(self.color_classes))
        return table[np.asarray(classes)]


def open_markov_text(sequence_length: int, *, num_tokens: int = 16, seed: int = 0) -> MarkovText:
    """Open endless text of a Markov chain: `[CLS] x_1 ... x_(t-2) [EOS]`, without padding, in one segment.

    Args:
        sequence_length: Number of tokens with the two special ones, t, 3 or more.
        num_tokens: Number of states, k. State i is the token 6 + i, after the special tokens; each is a word.
        seed: Of the chain and of what is drawn from it.

    Returns:
        The source. The 65,536 examples of a training epoch follow from the index and the seed that `read` is given;
        the 2,048 of the evaluation from the index alone.

    Raises:
        ValueError: If a number is too small or none.

    Example:
        >>> source = open_markov_text(8)
        >>> source.train.read(tf.constant(0, tf.int64), tf.constant([1, 2]))["token_ids"].shape, source.vocab_size
        (TensorShape([8]), 22)
    """
    require_type("sequence_length", sequence_length, int)
    require(sequence_length >= 3, f"sequence_length must be 3 or more; given: {sequence_length}")
    chain = MarkovChain.from_seed(num_tokens, seed=seed)
    num_special = len(SPECIAL_NAMES)

    def example(draw_seed: tf.Tensor) -> dict[str, tf.Tensor]:
        states = chain.sample(sequence_length - 2, draw_seed)
        return {
            "token_ids": tf.concat([[SPECIAL.cls], states + num_special, [SPECIAL.eos]], axis=0),
            "segment_ids": tf.zeros([sequence_length], tf.int32),
            "padding_mask": tf.ones([sequence_length], tf.int32),
            "is_next": tf.constant(1),
        }

    def read_train(index: tf.Tensor, epoch_seed: tf.Tensor):
        return example(_fold([seed, TRAIN], index, epoch_seed[0], epoch_seed[1]))

    def read_evaluation(index: tf.Tensor, _: tf.Tensor):
        return example(_fold([seed, EVALUATION], index))

    return MarkovText(
        name="markov",
        special=SPECIAL,
        vocab_size=num_special + num_tokens,
        is_special=np.arange(num_special + num_tokens) < num_special,
        starts_word=np.ones(num_special + num_tokens, bool),
        train=TextSplit("train", TRAIN_SIZE, read_train),
        evaluation=TextSplit("evaluation", EVALUATION_SIZE, read_evaluation),
        chain=chain,
    )


def open_markov_images(
    *, image_size: int | tuple[int, int] = 32, patch_size: int = 4, num_colors: int = 8, seed: int = 0
) -> MarkovImages:
    """Open pictures in which every row of patches is its own Markov chain of colours.

    The mean of each patch lies in the middle of one of the 512 classes of three bits a channel, `64 r + 8 g + b` with
    r the mean red divided by 32; its texture leaves the class nowhere, not even in one pixel.

    Args:
        image_size: (height, width) in pixels, or one number for both; multiples of patch_size.
        patch_size: Side of a patch in pixels.
        num_colors: Number of states, k, 2..512.
        seed: Of the chain, the colours and what is drawn.

    Returns:
        The source: 65,536 training and 2,048 evaluation pictures, a function of the index; all labels are 0.

    Raises:
        ValueError: If a number is out of its range or a size no multiple of patch_size.

    Example:
        >>> source = open_markov_images(image_size=(8, 12))
        >>> source.train.read(tf.constant(0, tf.int64))["image"].shape
        TensorShape([8, 12, 3])
    """
    require_type("image_size", image_size, int | tuple[int, int])
    require_type("patch_size", patch_size, int)
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    require(
        patch_size >= 1 and min(height, width) >= 1 and height % patch_size == width % patch_size == 0,
        f"image_size must be positive multiples of patch_size {patch_size}; given: {(height, width)}",
    )
    chain = MarkovChain.from_seed(num_colors, seed=seed)
    require(num_colors <= 512, f"num_colors must be at most 512, one per class; given: {num_colors}")
    classes = np.random.default_rng([seed, num_colors]).choice(512, num_colors, replace=False)
    colors = 32 * np.stack([classes // 64, classes // 8 % 8, classes % 8], axis=-1) + 16  # [k, 3]

    def split(name: str, size: int, part: int) -> Split:
        def read(index: tf.Tensor):
            states_seed, texture_seed = tf.unstack(tf.random.split(_fold([seed, part], index)))
            grid = [height // patch_size, width // patch_size]
            states = chain.walk(tf.random.stateless_uniform(grid, states_seed, dtype=tf.float64))
            image = tf.gather(tf.constant(colors, tf.int32), states)  # [h, w, 3]
            image = tf.repeat(tf.repeat(image, patch_size, axis=0), patch_size, axis=1)
            image += tf.random.stateless_uniform([height, width, 3], texture_seed, -TEXTURE, TEXTURE + 1, tf.int32)
            return {"image": tf.cast(image, tf.uint8), "label": tf.constant(0)}

        return Split(name, size, np.zeros(size, np.int32), read)

    return MarkovImages(
        name="markov",
        class_names=("rows",),
        train=split("train", TRAIN_SIZE, TRAIN),
        evaluation=split("evaluation", EVALUATION_SIZE, EVALUATION),
        chain=chain,
        color_classes=classes,
    )


def _count_below(uniform: tf.Tensor, cumulated: np.ndarray) -> tf.Tensor:
    """Inverse of the distributions [..., k] at the draws: how many of the first k - 1 sums a draw reaches, int32."""
    return tf.reduce_sum(tf.cast(uniform[..., tf.newaxis] >= cumulated[..., :-1], tf.int32), axis=-1)


def _fold(seed: list[int], *numbers: tf.Tensor) -> tf.Tensor:
    folded = tf.constant(seed, tf.int64)
    for number in numbers:
        folded = tf.random.fold_in(folded, number)
    return folded


def _require_seed(seed: int) -> None:
    require_type("seed", seed, int)
    require(seed >= 0, f"seed must be 0 or more; given: {seed}")
