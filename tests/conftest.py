"""What all tests share: quiet libraries, fixed seeds, no network."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
if "PYTEST_XDIST_WORKER" in os.environ:  # tests run side by side, each on a core of its own
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import logging

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework.config import disable_op_determinism

# Two devices, for those tests that train on several; they must be there before TensorFlow is first used.
[_cpu] = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(_cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="session")
def strategy():
    """Two replicas; one strategy for all tests, because TensorFlow fails after about ten of them in a process."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture(autouse=True)
def seeded():
    """The same random numbers for every test, whatever ran before, float32, and what a program turns on turned off."""
    disable_op_determinism()
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def own_log():
    """Undo what a program does to the package's log."""
    yield
    logger = logging.getLogger("mixer_tf")
    logger.handlers, logger.propagate = [], True


@pytest.fixture
def eager():
    """No graphs, which a few steps are not worth."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    """A vocabulary trained from the package's own sentences, 700 pieces wanted."""
    from mixer_tf.data.texts import SENTENCES
    from mixer_tf.data.vocabulary import train_vocabulary

    return train_vocabulary(SENTENCES, tmp_path_factory.mktemp("vocabulary") / "small.model", vocab_size=700)


@pytest.fixture(scope="session")
def word_piece_tokenizer():
    """BERT's kind, uncased, with 22 pieces."""
    from mixer_tf.data.tokenizers import WordPieceTokenizer

    pieces = "[PAD] [UNK] [CLS] [SEP] [MASK]", "the cat sat un ##aff ##able dog . 猫 吾 輩 は ##s a on mat sun"
    return WordPieceTokenizer(" ".join(pieces).split(), lower_case=True)
