"""Sources with a known entropy: Markov chains as text, and as rows of coloured patches.

What a model can know at best about a masked token of these is computed exactly in `mixer_tf.analysis.bayes`, so that a
loss can be compared with its floor.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from mixer_tf.checks import require, require_type
from mixer_tf.data.markov_chain import MarkovChain
from mixer_tf.data.splits import ImageSource, Split
from mixer_tf.data.texts import TextSource, TextSplit
from mixer_tf.data.tokenizers import SpecialTokens

SPECIAL_NAMES = ("[PAD]", "[UNK]", "[CLS]", "[EOS]", "[SEP]", "[MASK]")
SPECIAL = SpecialTokens(pad=0, unknown=1, cls=2, eos=3, sep=4, mask=5)
TRAIN_SIZE, EVALUATION_SIZE = 65_536, 2_048
TRAIN, EVALUATION = 0, 1  # second half of the seed: the splits share no draw
TEXTURE = 8  # largest change of a pixel; a class is 32 wide and its colour in the middle


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
        """The states of patches of these classes of mean colour, 0..511, int [...]; -1 where it is none of ours."""
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
    require_type("num_tokens", num_tokens, int)
    require(num_tokens >= 2, f"num_tokens must be 2 or more; given: {num_tokens}")
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
    *, image_size: int | tuple[int, int] = 32, patch_size: int = 4, num_colors: int = 8, seed: int = 20
) -> MarkovImages:
    """Open pictures in which every row of patches is its own Markov chain of colours.

    The mean of each patch lies in the middle of one of the 512 classes of three bits a channel, `64 r + 8 g + b` with
    r the mean red divided by 32; its texture leaves the class nowhere, not even in one pixel.

    Args:
        image_size: (height, width) in pixels, or one number for both; multiples of patch_size.
        patch_size: Side of a patch in pixels.
        num_colors: Number of states, k, 2..512.
        seed: Of the chain, the colours and what is drawn. With 20 neighbours tell much of a patch (at a rate of 1/2 and
            a unit of one patch 1.00 nats are left of 1.91), so that a model that learns is soon told from one that
            does not.

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
    require_type("num_colors", num_colors, int)
    require(2 <= num_colors <= 512, f"num_colors must lie in 2..512, the number of classes; given: {num_colors}")
    chain = MarkovChain.from_seed(num_colors, seed=seed)
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


def _fold(seed: list[int], *numbers: tf.Tensor) -> tf.Tensor:
    folded = tf.constant(seed, tf.int64)
    for number in numbers:
        folded = tf.random.fold_in(folded, number)
    return folded
