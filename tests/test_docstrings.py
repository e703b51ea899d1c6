"""Every example in a docstring of the library runs and gives what it says."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest
import tensorflow as tf

import mixer_tf as mt
from mixer_tf.training.losses import create_loss
from mixer_tf.training.optimizers import create_optimizer

EXAMPLES = [
    example
    for module in pkgutil.walk_packages(mt.__path__, "mixer_tf.")
    for example in doctest.DocTestFinder().find(importlib.import_module(module.name))
    if example.examples
]


def surroundings():
    """What examples may take for granted: a small compiled model and its data."""
    arguments = {"patch_size": 8, "num_blocks": 2, "hidden_dim": 12, "num_heads": 3, "mlp_dim": 20}
    vit_arguments = {"image_shape": (16, 24, 3), **arguments}
    model = mt.classifier(mt.create_backbone("vit", **vit_arguments), num_classes=10)
    loss = create_loss("softmax")
    model.compile(create_optimizer("adamw", learning_rate=1e-3, ema=0.9), loss, metrics=["accuracy"])
    images, labels = np.zeros((32, 16, 24, 3), "float32"), np.arange(32) % 10
    batches = tf.data.Dataset.from_tensor_slices((images, np.eye(10)[labels])).batch(8)
    model.optimizer.build(model.trainable_variables)
    return {
        "vit_arguments": vit_arguments,
        "model": model,
        "loss": loss,
        "images": images,
        "labels": labels,
        "class_names": [str(digit) for digit in range(10)],
        "train": batches,
        "validation": batches,
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_example(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "(model" in example.docstring or "model." in example.docstring:
        example.globs |= surroundings()
    output = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=output.append)
    assert not output, "".join(output)


def test_public_functions_have_examples():
    names = {example.name.rpartition(".")[2] for example in EXAMPLES}
    assert {name for name in mt.__all__ if callable(getattr(mt, name))} <= names
