"""Parameters and multiply-adds as papers count them."""

import keras
import pytest
from keras import layers, ops

import mixer_tf as mt
from mixer_tf.analysis.size import count_multiply_adds, count_parameters
from mixer_tf.layers.mixed_depthwise import MixedDepthwiseConv2D
from mixer_tf.layers.shifts import ShiftChannels
from tests.backbones.tiny import tiny_backbone


def test_moving_statistics_are_no_parameters():
    backbone = tiny_backbone("resnet")
    statistics = sum(weight.shape[0] for weight in backbone.non_trainable_weights)
    assert statistics > 0
    assert count_parameters(backbone) == backbone.count_params() - statistics


def test_dropout_adds_nothing():
    assert count_parameters(tiny_backbone("vit", dropout=0.1)) == count_parameters(tiny_backbone("vit"))


def test_frozen_weights_still_count():
    backbone = tiny_backbone("mlp_mixer")
    before = count_parameters(backbone)
    backbone.trainable = False
    assert count_parameters(backbone) == before


@pytest.mark.parametrize(
    ("name", "billions"),
    [("mlp_mixer_b16", 12.602), ("vit_s16", 4.599), ("resnet50", 4.089), ("resnet18", 1.814), ("ms_mlp_t", 4.44)],
)
def test_multiply_adds_are_those_counted_by_hand(name, billions):
    with keras.StatelessScope():
        model = mt.classifier(mt.create_backbone(name), 1000)
        assert count_multiply_adds(model) == pytest.approx(billions * 1e9, rel=1e-3)
        keras.backend.clear_session()


@pytest.mark.parametrize(
    ("name", "length", "billions"),
    [("bert_base", 128, 14.250), ("bert_base_chinese", 128, 13.327), ("gpt2", 1024, 145.824)],
)
def test_multiply_adds_of_text_are_those_counted_by_hand(name, length, billions):
    with keras.StatelessScope():
        encoder = mt.create_backbone(name, sequence_length=length)
        heads = {"gpt2": mt.causal_language_model}.get(name, lambda x: mt.masked_language_model(x, next_sentence=True))
        assert count_multiply_adds(heads(encoder)) == pytest.approx(billions * 1e9, rel=1e-3)
        keras.backend.clear_session()


def multiply_adds(function, *shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    return count_multiply_adds(keras.Model(inputs, function(*inputs)))


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (lambda x: layers.Dense(5)(x), [(7, 11)], 7 * 11 * 5),
        (lambda x: layers.Conv2D(4, (3, 5), padding="same")(x), [(6, 8, 2)], 6 * 8 * 4 * 3 * 5 * 2),
        (lambda x: layers.Conv2D(4, 3, strides=2)(x), [(7, 9, 6)], 3 * 4 * 4 * 9 * 6),
        (lambda x: layers.Conv2D(4, 3, dilation_rate=3)(x), [(11, 12, 2)], 5 * 6 * 4 * 9 * 2),
        (lambda x: layers.DepthwiseConv2D(3, padding="same")(x), [(6, 8, 5)], 6 * 8 * 5 * 9),
        (lambda x: layers.DepthwiseConv2D(3, depth_multiplier=2)(x), [(6, 8, 5)], 4 * 6 * 10 * 9),
        (lambda x: MixedDepthwiseConv2D((1, 3, 5))(x), [(6, 8, 5)], 6 * 8 * (2 * 1 + 2 * 9 + 1 * 25)),
        (lambda x: ShiftChannels(((1, 0), (0, 2)), (2, 3))(x), [(6, 8, 5)], 0),
        (lambda x, y: ops.matmul(x, y), [(2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
        (lambda x, y: ops.matmul(x, ops.swapaxes(y, 1, 2)), [(3, 4), (5, 4)], 3 * 4 * 5),
        (lambda x, y: ops.einsum("bhwc,bhvc->bwvc", x, y), [(2, 3, 4), (2, 5, 4)], 2 * 3 * 5 * 4),
        (lambda x: ops.softmax(x + 1), [(3, 4)], 0),
        (lambda x: ops.image.extract_patches(x, 3, strides=2), [(7, 9, 2)], 0),  # a convolution that only moves pixels
    ],
)
def test_every_product_is_counted_once(function, shapes, expected):
    assert multiply_adds(function, *shapes) == expected


def test_an_input_without_a_fixed_shape_is_refused():
    with pytest.raises(ValueError, match="inputs must have fixed shapes for counting; given: picture without"):
        count_multiply_adds(keras.Sequential([keras.Input((None, 4), name="picture"), layers.Dense(3)]))


def test_a_graph_with_functions_of_its_own_is_refused():
    with pytest.raises(ValueError, match="one flat graph for counting"):
        multiply_adds(lambda x: layers.Conv2D(4, 3, groups=2)(x), (7, 9, 6))
