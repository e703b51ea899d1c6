"""A vocabulary that the tests of texts share."""

import pytest

from mixer_tf.data.texts import SENTENCES
from mixer_tf.data.vocabulary import train_vocabulary


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    """Trained from the package's own sentences, 700 pieces wanted."""
    return train_vocabulary(SENTENCES, tmp_path_factory.mktemp("vocabulary") / "small.model", vocab_size=700)
