"""The model that remembers its preprocessing."""

import keras

from mixer_tf.data.preprocess import Preprocessing
from tests.backbones.tiny import IMAGE_SHAPE, tiny_classifier


def test_preprocessing_survives_a_keras_file(tmp_path):
    model = tiny_classifier("mlp_mixer")
    model.preprocessing = Preprocessing(IMAGE_SHAPE[:2], std=(0.1, 0.2, 0.3), crop=0.8, interpolation="bicubic")
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").preprocessing == model.preprocessing


def test_model_without_preprocessing_says_so_after_loading(tmp_path):
    tiny_classifier("mlp_mixer").save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").preprocessing is None


def test_config_keeps_it():
    model = tiny_classifier("vit")
    model.preprocessing = Preprocessing(IMAGE_SHAPE[:2])
    assert type(model).from_config(model.get_config()).preprocessing == model.preprocessing


def test_arguments_of_the_published_classifier_survive_a_keras_file(tmp_path):
    model = tiny_classifier("mlp_mixer")
    assert model.classifier_arguments is None
    model.classifier_arguments = {"norm_epsilon": 1e-6, "pool": "average"}
    model.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").classifier_arguments == model.classifier_arguments
    assert type(model).from_config(model.get_config()).classifier_arguments == model.classifier_arguments
