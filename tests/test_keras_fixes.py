"""The model that remembers its preprocessing, and what Keras gets wrong.

Each `test_keras_...` shows a defect of Keras. When one fails, Keras has mended it, and what `mixer_tf/keras_fixes.py`
does about it can go.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.data.preprocess import Preprocessing
from mixer_tf.keras_fixes import Model
from mixer_tf.training.optimizers import create_optimizer
from tests.backbones.tiny import IMAGE_SHAPE, tiny_classifier

ONE = tf.distribute.get_strategy()


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


def batches(weighted=False):
    """Five batches of 8 examples, again and again; the weights of an example grow with its place in the batch."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(40, 6)).astype("float32"), random.integers(3, size=40)
    arrays = (x, y, np.tile(np.arange(8, dtype="float32") ** 2, 5)) if weighted else (x, y)
    return tf.data.Dataset.from_tensor_slices(arrays).repeat().batch(8, drop_remainder=True)


def network(model_class, dropout=0.0):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((6,))
    x = keras.layers.Dense(5, activation="tanh", name="fc1")(x)
    x = keras.layers.Dropout(dropout, name="dropout")(x) if dropout else x
    return model_class(inputs, keras.layers.Dense(3, name="head")(x))


def trained(
    strategy,
    model_class,
    *,
    optimizer=keras.optimizers.SGD,
    loss=None,
    dropout=0.0,
    weighted=False,
    micro=1,
    **arguments,
):
    """The head's kernel after four steps, and the loss that `fit` reports."""
    with strategy.scope():
        model = network(model_class, dropout)
        model.compile(
            optimizer(learning_rate=0.1),
            loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            **arguments,
        )
    model.accumulate_steps = micro
    history = model.fit(batches(weighted), steps_per_epoch=4, verbose=0).history
    return model.get_layer("head").kernel.numpy(), history["loss"][0]


def stock_error(strategy, **arguments):
    """How far Keras's own model on these replicas is from one replica: in its weights, and in the loss it reports."""
    (weights, loss), (expected, expected_loss) = (trained(s, keras.Model, **arguments) for s in (strategy, ONE))
    return np.abs(weights - expected).max(), abs(loss - expected_loss)


def assert_mended(strategy, model_class=Model, micro=1, **arguments):
    """The package's model is where Keras's own is on one replica."""
    options = {"steps_per_execution", "jit_compile"}
    expected, loss = trained(ONE, keras.Model, **{key: v for key, v in arguments.items() if key not in options})
    ours, our_loss = trained(strategy, model_class, micro=micro, **arguments)
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    assert our_loss == pytest.approx(loss, abs=1e-6)


def clipping_sgd(learning_rate):
    return keras.optimizers.SGD(learning_rate, global_clipnorm=0.1)


def our_clipping_sgd(learning_rate):
    return create_optimizer("sgd", learning_rate=learning_rate, momentum=0.0, clip_norm=0.1)


def test_keras_clips_before_it_sums_the_gradients_of_the_replicas(strategy):
    assert stock_error(strategy, optimizer=clipping_sgd)[0] > 1e-4
    with pytest.raises(ValueError, match="clipping on 2 replicas must come after the sum of their gradients"):
        trained(strategy, Model, optimizer=clipping_sgd)
    expected, _ = trained(ONE, keras.Model, optimizer=clipping_sgd)
    np.testing.assert_allclose(trained(strategy, Model, optimizer=our_clipping_sgd)[0], expected, atol=1e-6)


def test_keras_cannot_make_several_steps_at_once_on_replicas(strategy):
    with pytest.raises(tf.errors.InvalidArgumentError):
        trained(strategy, keras.Model, steps_per_execution=2)
    assert_mended(strategy, steps_per_execution=2)


def test_keras_cannot_compile_a_step_with_xla_on_replicas(strategy):
    with pytest.raises(Exception, match="located in device"):
        trained(strategy, keras.Model, jit_compile=True)
    assert_mended(strategy, jit_compile=True)
    assert_mended(strategy, jit_compile=True, micro=2, steps_per_execution=2)


def test_keras_cannot_accumulate_gradients_on_replicas(strategy):
    def accumulating(learning_rate):
        return keras.optimizers.SGD(learning_rate, gradient_accumulation_steps=2)

    with pytest.raises(RuntimeError, match="called while defining a new graph"):
        trained(strategy, keras.Model, optimizer=accumulating)
    assert_mended(strategy, micro=2)


def masked_loss():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")


def test_keras_divides_a_masked_loss_by_the_weights_of_each_replica(strategy):
    assert min(stock_error(strategy, loss=masked_loss(), weighted=True)) > 1e-3
    assert_mended(strategy, loss=masked_loss(), weighted=True)
    assert_mended(strategy, loss=masked_loss(), weighted=True, micro=2)
    assert_mended(ONE, loss=masked_loss(), weighted=True, micro=4)


def test_masked_loss_without_weights_is_refused(strategy):
    with pytest.raises(ValueError, match="needs sample weights on several replicas or micro-batches; given: none"):
        trained(strategy, Model, loss=masked_loss())


def mean_loss(y_true, y_pred):
    return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True))


def test_keras_counts_a_loss_that_is_a_mean_already_once_for_each_replica(strategy):
    weights_error, loss_error = stock_error(strategy, loss=mean_loss)
    assert weights_error > 1e-3
    assert loss_error > 0.5  # about 1.1, reported twice
    assert_mended(strategy, loss=mean_loss)


def test_summed_losses_count_every_example_once(strategy):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    for parts in ((strategy, 1), (strategy, 2), (ONE, 2)):
        assert_mended(parts[0], loss=loss, micro=parts[1])


def dropped(strategy, model_class):
    """Which channels the dropout layer of a trained model drops, on each replica."""
    with strategy.scope():
        model = network(model_class, dropout=0.5)
        model.compile("sgd", mean_loss)
    model.fit(batches(), steps_per_epoch=1, verbose=0)
    layer = model.get_layer("dropout")
    result = strategy.run(tf.function(lambda: layer(tf.ones((4, 16)), training=True)))
    return [value.numpy() for value in strategy.experimental_local_results(result)]


def test_keras_drops_the_same_on_every_replica(strategy):
    first, second = dropped(strategy, keras.Model)
    np.testing.assert_array_equal(first, second)
    ours, others = dropped(strategy, Model)
    np.testing.assert_array_equal(ours, first)
    assert (ours != others).any()


def test_keras_loses_weights_when_float16_overflows_on_the_second_replica_only(strategy):
    x = np.ones((8, 6), "float32")
    x[4:] = 6e4  # the second replica's half
    data = tf.data.Dataset.from_tensors((x, np.zeros(8, "int64"))).repeat()
    weights = {}
    for model_class in (keras.Model, Model):
        keras.config.set_dtype_policy("mixed_float16")
        with strategy.scope():
            inputs = keras.Input((6,))
            model = model_class(inputs, keras.layers.Dense(3, kernel_initializer="ones", dtype="mixed_float16")(inputs))
            model.compile(keras.optimizers.SGD(0.1), mean_loss)
        if model_class is Model:
            with pytest.raises(ValueError, match="float16 must be trained on one replica; given: 2"):
                model.fit(data, steps_per_epoch=2, verbose=0)
        else:
            model.fit(data, steps_per_epoch=2, verbose=0)
            weights = model.get_weights()
    assert not np.isfinite(weights[0]).all()


def test_keras_files_do_not_hold_the_state_of_dropout(tmp_path):
    model = network(keras.Model, dropout=0.5)
    model.compile("sgd", mean_loss)
    model.fit(batches(), steps_per_epoch=4, verbose=0)
    before = model.get_layer("dropout").seed_generator.state.numpy()
    model.save_weights(tmp_path / "model.weights.h5")
    other = network(keras.Model, dropout=0.5)
    other.load_weights(tmp_path / "model.weights.h5")
    assert before[1] == 4
    assert other.get_layer("dropout").seed_generator.state.numpy()[1] == 0


def two_outputs(strategy, model_class, losses, micro=1):
    """The weights of a model with two outputs and the losses that `fit` reports; each output has weights of its own."""
    with strategy.scope():
        keras.utils.set_random_seed(0)
        x = keras.Input((6,))
        hidden = keras.layers.Dense(5, activation="tanh", name="fc1")(x)
        model = model_class(x, {name: keras.layers.Dense(3, name=name)(hidden) for name in ("a", "b")})
        model.compile(create_optimizer("sgd", learning_rate=0.1, weight_decay=0.1), losses)
    model.accumulate_steps = micro
    data = batches(weighted=True).map(lambda x, y, w: (x, {"a": y, "b": y}, {"a": w, "b": w[::-1] + 1.0}))
    history = model.fit(data, steps_per_epoch=4, verbose=0).history
    return [*model.get_weights(), np.array(history["loss"])]


@pytest.mark.parametrize("micro", [1, 2])
@pytest.mark.parametrize("second", ["masked", "mean", "none"])
def test_each_of_two_outputs_has_its_own_loss(strategy, second, micro):
    mean = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = {"a": masked_loss(), "b": {"masked": masked_loss(), "mean": mean, "none": None}[second]}
    if second == "mean" and micro > 1:
        with pytest.raises(ValueError, match="all means, or all sums"):
            two_outputs(strategy, Model, losses, micro)
        return
    for ours, expected in zip(
        two_outputs(strategy, Model, losses, micro), two_outputs(ONE, keras.Model, losses), strict=True
    ):
        np.testing.assert_allclose(ours, expected, atol=1e-6)


def evaluated(strategy, model_class, losses, examples):
    """The figures of an untrained model with two outputs, in batches of 8 of which the last is smaller."""
    with strategy.scope():
        keras.utils.set_random_seed(0)
        x = keras.Input((6,))
        model = model_class(x, {name: keras.layers.Dense(3, name=name)(x) for name in ("a", "b")})
        model.compile("sgd", losses)
    data = batches(weighted=True).unbatch().take(examples).batch(8)
    data = data.map(lambda x, y, w: (x, {"a": y, "b": y}, {"a": w, "b": w[::-1] + 1.0}))
    return model.evaluate(data, verbose=0, return_dict=True)


@pytest.mark.parametrize("examples", [13, 9])  # the last batch: three examples and two; one and none
def test_evaluation_of_a_mean_beside_a_masked_loss_counts_every_example_once(strategy, examples):
    mean = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = {"a": masked_loss(), "b": mean}
    expected = evaluated(ONE, keras.Model, losses, examples)
    ours = evaluated(strategy, Model, losses, examples)
    assert ours == pytest.approx(expected, rel=1e-6)


def test_one_weight_for_a_masked_loss_and_another_is_refused(strategy):
    losses = {"a": masked_loss(), "b": keras.losses.SparseCategoricalCrossentropy(from_logits=True)}
    with strategy.scope():
        x = keras.Input((6,))
        model = Model(x, {name: keras.layers.Dense(3, name=name)(x) for name in ("a", "b")})
        model.compile("sgd", losses)
    with pytest.raises(ValueError, match="beside another needs sample weights by output; given: the same for all"):
        model.fit(batches(weighted=True).map(lambda x, y, w: (x, {"a": y, "b": y}, w)), steps_per_epoch=1, verbose=0)


@pytest.mark.parametrize("parts", ["replicas", "micro-batches"])
def test_masks_of_keras_and_unreduced_losses_are_refused(strategy, parts):
    chosen, micro = (strategy, 1) if parts == "replicas" else (ONE, 2)
    with chosen.scope():
        x = keras.Input((7,), dtype="int32")
        masked = Model(x, keras.layers.Dense(3)(keras.layers.Embedding(5, 4, mask_zero=True)(x)))
        masked.compile("sgd", "sparse_categorical_crossentropy")
    masked.accumulate_steps = micro
    tokens = np.ones((8, 7), "int32")
    with pytest.raises(ValueError, match="a mask must be given as sample weights"):
        masked.fit(tokens, tokens, verbose=0)
    with pytest.raises(ValueError, match="must be a mean or a sum; given: reduction='none'"):
        trained(chosen, Model, loss=keras.losses.SparseCategoricalCrossentropy(True, reduction="none"), micro=micro)


def test_losses_that_cannot_be_shared_by_micro_batches_are_refused():
    model = network(Model)
    model.compile("sgd", [keras.losses.SparseCategoricalCrossentropy(True, reduction="sum"), "mse"])
    model.accumulate_steps = 2
    with pytest.raises(ValueError, match="accumulate_steps above 1 needs losses that are all means, or all sums"):
        model.fit(batches(), steps_per_epoch=1, verbose=0)


def test_the_users_loss_stays_as_it_is(strategy):
    loss = masked_loss()
    trained(strategy, Model, loss=loss, weighted=True)
    assert loss.reduction == "mean_with_sample_weight"


def test_one_batch_trains_on_replicas_too(strategy):
    with strategy.scope():
        model = network(Model)
        model.compile("sgd", mean_loss)
    assert np.isfinite(model.train_on_batch(np.ones((4, 6), "float32"), np.zeros(4, "int64")))
