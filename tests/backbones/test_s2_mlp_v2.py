"""S2-MLPv2: three parts of which two are shifted, and split attention between them. Refusals: see test_s2_mlp.py."""

import keras
import numpy as np
import pytest

import mixer_tf as mt
from mixer_tf.analysis.size import count_parameters
from tests.backbones.tiny import tiny_backbone, tiny_images


def test_first_third_moves_rows_first_the_second_columns_first_and_the_last_stays():
    layer = tiny_backbone("s2_mlp_v2").get_layer("stage1_block1_split_move")
    x = np.zeros((1, 6, 10, 30), "float32")
    x[0, 2, 4] = 1
    y = layer(x).numpy()[0]
    down, up, right, left = (3, 4), (1, 4), (2, 5), (2, 3)
    expected = [(2, down), (3, up), (2, right), (3, left), (2, right), (3, left), (2, down), (3, up), (10, (2, 4))]
    pixels = [pixel for number, pixel in expected for _ in range(number)]
    for channel, pixel in enumerate(pixels):
        assert np.argwhere(y[..., channel]).tolist() == [list(pixel)], channel


def test_split_attention_without_an_opinion_is_the_mean_of_the_parts():
    backbone = tiny_backbone("s2_mlp_v2")
    name = "stage1_block1_split"
    last = backbone.get_layer(f"{name}_attention_fc2")
    last.kernel.assign(np.zeros(last.kernel.shape))
    parts, weighed = backbone.get_layer(f"{name}_move").output, backbone.get_layer(f"{name}_projection").input
    parts, weighed = keras.Model(backbone.input, [parts, weighed])(tiny_images("s2_mlp_v2"))
    mean = parts.numpy().reshape(3, 6, 10, 3, 10).mean(axis=3)
    np.testing.assert_allclose(weighed.numpy().reshape(mean.shape), mean, atol=1e-6)


def test_attention_of_the_parts_adds_up_to_one_in_every_channel():
    backbone = tiny_backbone("s2_mlp_v2")
    weights = keras.Model(backbone.input, backbone.get_layer("stage2_block2_split_attention_softmax").output)
    weights = weights(tiny_images("s2_mlp_v2")).numpy()
    assert weights.shape == (3, 3, 14)  # pictures, parts, channels
    np.testing.assert_allclose(weights.sum(axis=1), np.ones((3, 14)), rtol=1e-6)


@pytest.mark.parametrize(("name", "parameters"), [("s2_mlp_v2_s7", 31_748_200), ("s2_mlp_v2_m7", 70_014_440)])
def test_full_split_attention_gives_the_sizes_of_the_public_re_implementations(name, parameters):
    with keras.StatelessScope():
        model = mt.classifier(mt.create_backbone(name, split_attention_ratio=1), 1000)
        assert count_parameters(model) == parameters
        keras.backend.clear_session()
