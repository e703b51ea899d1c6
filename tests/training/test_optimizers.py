"""Every optimizer against its formula in float64 numpy, and the average of the weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mixer_tf.training.optimizers import OPTIMIZERS, averaged_weights, create_optimizer
from mixer_tf.training.schedules import create_schedule

SHAPES = {
    "position_embedding/table": (1, 4, 3),
    "class_token/token": (1, 1, 3),
    "block0_fc/kernel": (3, 5),
    "block0_fc/bias": (5,),
    "block1_norm/gamma": (5,),
    "head/kernel": (5, 2),
}
DECAYED = ("block0_fc/kernel", "head/kernel")
LEARNING_RATE, DECAY, CLIP, STEPS = 0.01, 0.1, 1.0, 6
LAYER_SCALES = {"position_embedding": 0.5**3, "class_token": 0.5**3, "block0_fc": 0.25, "block1_norm": 0.5, "head": 1.0}


class Table(keras.layers.Layer):
    """Own one weight of any shape and add its sum to the input."""

    def __init__(self, table_shape, weight_name, **kwargs):
        super().__init__(**kwargs)
        self.table_shape, self.weight_name = table_shape, weight_name

    def build(self, input_shape):
        self.table = self.add_weight(shape=self.table_shape, initializer="glorot_uniform", name=self.weight_name)

    def call(self, x):
        return x + keras.ops.sum(self.table)


def small_model(dtype=None):
    """A model with every kind of weight: its variables' paths are the keys of SHAPES."""
    keras.utils.set_random_seed(3)
    image = keras.Input((3,))
    x = Table((1, 4, 3), "table", name="position_embedding", dtype=dtype)(image)
    x = Table((1, 1, 3), "token", name="class_token", dtype=dtype)(x)
    x = keras.layers.Dense(5, name="block0_fc", dtype=dtype)(x)
    x = keras.layers.LayerNormalization(center=False, name="block1_norm", dtype=dtype)(x)
    return keras.Model(image, keras.layers.Dense(2, use_bias=False, name="head", dtype="float32")(x))


def variables_and_gradients(steps=STEPS):
    rng = np.random.default_rng(7)
    weights = {path: rng.normal(size=shape) for path, shape in SHAPES.items()}
    weights["block0_fc/bias"][:] = 0.0
    gradients = [{path: rng.normal(size=shape) for path, shape in SHAPES.items()} for _ in range(steps)]
    return weights, gradients


def keras_run(optimizer, weights, gradients):
    model = small_model()
    variables = {variable.path: variable for variable in model.trainable_variables}
    assert {path: tuple(variable.shape) for path, variable in variables.items()} == SHAPES
    for path, variable in variables.items():
        variable.assign(weights[path])
    history = []
    for gradient in gradients:
        optimizer.apply([tf.constant(gradient[path], "float32") for path in variables], list(variables.values()))
        history.append({path: variable.numpy() for path, variable in variables.items()})
    return history


def clipped(gradient):
    norm = np.sqrt(sum(np.sum(np.square(g)) for g in gradient.values()))
    return {path: g * min(1.0, CLIP / norm) for path, g in gradient.items()}


def adamw_step(w, g, m, v, t, lr, decay):
    w = w * (1 - lr * decay)
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    return w - lr * (m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.999**t)), m, v


def lamb_step(w, g, m, v, t, lr, decay, adapt):
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
    update = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-6) + decay * w
    ratio = np.linalg.norm(w) / np.linalg.norm(update) if adapt else 1.0
    return w - lr * ratio * update, m, v


def sgd_step(w, g, velocity, lr, decay, nesterov):
    g = g + decay * w
    velocity = 0.9 * velocity - lr * g
    return w + (0.9 * velocity - lr * g if nesterov else velocity), velocity


def numpy_run(name, weights, gradients, layer_scales=None, nesterov=False):
    """The formulas of the papers in float64."""
    w = {path: weight.copy() for path, weight in weights.items()}
    m, v = ({path: np.zeros(shape) for path, shape in SHAPES.items()} for _ in range(2))
    history = []
    for t, gradient in enumerate(map(clipped, gradients), start=1):
        for path, g in gradient.items():
            lr = LEARNING_RATE * (layer_scales or {}).get(path.split("/")[0], 1.0)
            decay = DECAY if path in DECAYED else 0.0
            if name == "adamw":
                w[path], m[path], v[path] = adamw_step(w[path], g, m[path], v[path], t, lr, decay)
            elif name == "lamb":
                adapt = path in DECAYED
                w[path], m[path], v[path] = lamb_step(w[path], g, m[path], v[path], t, lr, decay, adapt)
            else:
                w[path], m[path] = sgd_step(w[path], g, m[path], lr, decay, nesterov)
        history.append({path: weight.copy() for path, weight in w.items()})
    return history


def assert_equal_runs(actual, expected):
    for got, wanted in zip(actual, expected, strict=True):
        for path in SHAPES:
            np.testing.assert_allclose(got[path], wanted[path], rtol=0, atol=1e-6, err_msg=path)


@pytest.mark.parametrize("layer_scales", [None, LAYER_SCALES], ids=["same-rate", "layer-decay"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_equals_the_formula(name, layer_scales):
    weights, gradients = variables_and_gradients()
    optimizer = create_optimizer(
        name,
        learning_rate=LEARNING_RATE,
        weight_decay=DECAY,
        clip_norm=CLIP,
        layer_decay=0.5 if layer_scales else 1.0,
        epsilon=1e-12 if name == "adamw" else None,
    )
    assert_equal_runs(keras_run(optimizer, weights, gradients), numpy_run(name, weights, gradients, layer_scales))


def test_nesterov_equals_the_formula():
    weights, gradients = variables_and_gradients()
    optimizer = OPTIMIZERS["sgd"](
        learning_rate=LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=DECAY, global_clipnorm=CLIP
    )
    assert_equal_runs(keras_run(optimizer, weights, gradients), numpy_run("sgd", weights, gradients, nesterov=True))


def test_lamb_takes_ratio_1_where_a_norm_is_0():
    kernel = keras.Variable(np.zeros((2, 3)), name="kernel")
    optimizer = create_optimizer("lamb", learning_rate=0.1)
    optimizer.apply([tf.ones((2, 3))], [kernel])
    np.testing.assert_allclose(kernel.numpy(), -0.1, rtol=1e-5)
    kernel.assign(np.ones((2, 3)))
    optimizer = create_optimizer("lamb", learning_rate=0.1)
    optimizer.apply([tf.zeros((2, 3))], [kernel])
    np.testing.assert_array_equal(kernel.numpy(), 1.0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_learning_rate_follows_the_schedule(name):
    schedule = create_schedule("linear", peak=0.4, total_steps=4, warmup_steps=2)
    optimizer = create_optimizer(name, learning_rate=schedule, momentum=0.0)
    bias = keras.Variable(np.zeros(3), name="bias")
    positions = [0.0]
    for _ in range(4):
        optimizer.apply([tf.ones(3)], [bias])
        positions.append(float(bias.numpy()[0]))
    np.testing.assert_allclose(-np.diff(positions), [0.2, 0.4, 0.4, 0.2], rtol=1e-4)


def test_clips_an_embedding_by_the_norm_of_the_summed_rows():
    table = keras.Variable(np.zeros((5, 2)), name="embeddings")
    gradient = tf.IndexedSlices(tf.ones((2, 2)), tf.constant([1, 1]), tf.constant([5, 2]))
    create_optimizer("sgd", learning_rate=1.0, momentum=0.0, clip_norm=1.0).apply([gradient], [table])
    np.testing.assert_allclose(np.linalg.norm(table.numpy()), 1.0, rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_config_round_trip(name):
    schedule = create_schedule("cosine", peak=0.2, total_steps=9, warmup_steps=3, final=0.1)
    optimizer = create_optimizer(
        name,
        learning_rate=schedule,
        weight_decay=0.3,
        momentum=0.8,
        clip_norm=2.0,
        ema=0.7,
        layer_decay=0.6,
        beta_2=0.95,
        epsilon=1e-5,
    )
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is type(optimizer)
    assert copy.get_config() == optimizer.get_config()
    values = set(map(str, optimizer.get_config().values()))
    assert {"0.3", "0.8", "2.0", "0.7", "0.6"} <= values
    assert name == "sgd" or {"0.95", "1e-05"} <= values


def compiled(name, dtype=None, **changes):
    model = small_model(dtype)
    arguments = {"weight_decay": DECAY, "clip_norm": CLIP, "ema": 0.9, "layer_decay": 0.5, **changes}
    learning_rate = create_schedule("cosine", peak=LEARNING_RATE, total_steps=20, warmup_steps=2)
    model.compile(create_optimizer(name, learning_rate=learning_rate, **arguments), "mse")
    return model


def data(batches=3):
    rng = np.random.default_rng(1)
    return tf.data.Dataset.from_tensor_slices((rng.normal(size=(batches, 4, 3)), rng.normal(size=(batches, 4, 2))))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_loaded_model_trains_on_like_the_saved_one(name, tmp_path):
    model = compiled(name)
    model.fit(data(), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", custom_objects={"Table": Table})
    assert type(loaded.optimizer) is OPTIMIZERS[name]
    for either in (model, loaded):
        either.fit(data(1), verbose=0)
    assert loaded.optimizer.decayed == [path in DECAYED for path in SHAPES]
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables)
    for ours, theirs in zip(loaded.variables, model.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)
    for ours, theirs in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=ours.path)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_trains_in_mixed_bfloat16(name):
    model = compiled(name, dtype="mixed_bfloat16")
    before = model.get_weights()
    model.fit(data(), verbose=0)
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert all(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True))
    assert {average.dtype for average in model.optimizer.averages} == {"float32"}


def test_average_equals_one_computed_outside():
    weights, gradients = variables_and_gradients()
    optimizer = create_optimizer("adamw", learning_rate=LEARNING_RATE, ema=0.8)
    history = keras_run(optimizer, weights, gradients)
    expected = history[0]  # after the first step Keras sets the average to the weights
    for weights in history[1:]:
        expected = {path: 0.8 * expected[path] + 0.2 * weights[path] for path in SHAPES}
    for average, path in zip(optimizer.averages, SHAPES, strict=True):
        np.testing.assert_allclose(average.numpy(), expected[path], atol=1e-6)


def test_average_starts_at_the_weights():
    model = compiled("adamw")
    model.optimizer.build(model.trainable_variables)
    for average, variable in zip(model.optimizer.averages, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(average.numpy(), variable.numpy())


def test_the_end_of_fit_leaves_the_weights_alone():
    with_average, without = compiled("sgd", ema=0.9), compiled("sgd", ema=0.0)
    for model in (with_average, without):
        model.fit(data(), epochs=2, verbose=0)
    for ours, theirs in zip(with_average.get_weights(), without.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_averaged_weights_come_and_go():
    model = compiled("adamw")
    model.fit(data(), verbose=0)
    own = model.get_weights()
    with averaged_weights(model):
        for variable, average in zip(model.trainable_variables, model.optimizer.averages, strict=True):
            np.testing.assert_array_equal(variable.numpy(), average.numpy())
        assert any(np.any(weights != before) for weights, before in zip(model.get_weights(), own, strict=True))
    with pytest.raises(RuntimeError, match="in the body"), averaged_weights(model):
        raise RuntimeError("in the body")
    for weights, before in zip(model.get_weights(), own, strict=True):
        assert weights.tobytes() == before.tobytes()


def test_averaged_weights_need_an_average():
    model = compiled("adamw", ema=0.0)
    model.fit(data(1), verbose=0)
    with pytest.raises(ValueError, match="create it with ema above 0"), averaged_weights(model):
        pass


def test_unknown_optimizer_names_the_nearest():
    with pytest.raises(ValueError, match="nearest: 'adamw'"):
        create_optimizer("adam", learning_rate=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": 0.0},
        {"weight_decay": -0.1},
        {"momentum": 1.0},
        {"beta_2": 1.5},
        {"clip_norm": 0.0},
        {"ema": 1.0},
        {"layer_decay": 0.0},
    ],
)
def test_value_out_of_range(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        create_optimizer("adamw", **{"learning_rate": 0.1, **wrong})
