"""AdamW, SGD and LAMB with the rules that the papers' recipes share, and the average of the weights they keep.

The rules stand once, in `_RecipeRules`; each optimizer adds its own formula below them.
"""

from __future__ import annotations

import contextlib
import difflib
import math
from collections.abc import Iterator

import keras
from keras import ops

from mixer_tf.checks import require
from mixer_tf.keras_fixes import ClipAfterAllReduce
from mixer_tf.training.layer_groups import layer_decay_scales

TABLES = {"class_token", "mask_token", "position_embedding"}  # layers whose weights are learned vectors, not matrices


def create_optimizer(
    name: str,
    *,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
    weight_decay: float = 0.0,
    momentum: float = 0.9,
    clip_norm: float | None = None,
    ema: float = 0.0,
    layer_decay: float = 1.0,
    beta_2: float = 0.999,
    epsilon: float | None = None,
) -> keras.optimizers.Optimizer:
    """Create an optimizer that decays, scales and averages the weights as the papers' recipes do.

    Args:
        name: `"adamw"`, `"sgd"` or `"lamb"`.
        learning_rate: a number or a schedule (`mixer_tf.training.schedules.create_schedule`).
        weight_decay: decay of the matrices, at least 0; biases, norms, layer scales (anything of rank below 2) and the
            tables of positions, class and mask tokens are never decayed.
        momentum: momentum of SGD, `beta_1` of AdamW and LAMB, in [0, 1).
        clip_norm: largest norm of all gradients together, above 0; None does not clip.
        ema: momentum of the average of the weights, in [0, 1), e.g. 0.9999; 0 keeps no average.
        layer_decay: factor of the learning rate per block towards the input, in (0, 1]; see `layer_decay_scales`.
        beta_2: momentum of the squared gradient (AdamW, LAMB), in [0, 1).
        epsilon: added to the root of the squared gradient (AdamW, LAMB); None takes the paper's 1e-8 and 1e-6.

    Returns:
        A Keras optimizer; a `.keras` file keeps it with all its rules.

    Raises:
        ValueError: if the name is unknown or a number lies outside its range.

    Example:
        >>> optimizer = create_optimizer("adamw", learning_rate=1e-3, weight_decay=0.05, clip_norm=1.0, ema=0.9999)
        >>> model.compile(optimizer, loss="categorical_crossentropy")
    """
    if name not in OPTIMIZERS:
        nearest = difflib.get_close_matches(name, OPTIMIZERS, n=1, cutoff=0.0)[0]
        raise ValueError(f"the optimizer must be one of {', '.join(OPTIMIZERS)}; given: {name!r}; nearest: {nearest!r}")
    if isinstance(learning_rate, (int, float)):
        require(learning_rate > 0, f"learning_rate must be above 0; given: {learning_rate}")
        learning_rate = float(learning_rate)
    require(weight_decay >= 0, f"weight_decay must be at least 0; given: {weight_decay}")
    require(0 <= momentum < 1, f"momentum must be in [0, 1); given: {momentum}")
    require(0 <= beta_2 < 1, f"beta_2 must be in [0, 1); given: {beta_2}")
    require(clip_norm is None or clip_norm > 0, f"clip_norm must be above 0, or None for none; given: {clip_norm}")
    require(0 <= ema < 1, f"ema must be in [0, 1); given: {ema}")
    if name == "sgd":
        own = {"momentum": float(momentum)}
    else:
        own = {"beta_1": momentum, "beta_2": beta_2, "epsilon": EPSILON[name] if epsilon is None else epsilon}
    return OPTIMIZERS[name](
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        global_clipnorm=clip_norm,
        use_ema=ema > 0,
        ema_momentum=ema,
        layer_decay=layer_decay,
        **own,
    )


@contextlib.contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Run the body of a `with` statement with the average of the weights in the model.

    On leaving, also by an exception, the model gets its own weights back, bit for bit. The average covers the trainable
    weights; the moving statistics of a BatchNormalization are averages already and stay as they are.

    Args:
        model: a compiled model whose optimizer was created with `ema` above 0.

    Raises:
        ValueError: if the optimizer keeps no average of the model's trainable weights.

    Example:
        >>> with averaged_weights(model):
        ...     model.save("average.keras")
    """
    averages = getattr(model.optimizer, "averages", [])
    variables = model.trainable_variables
    if [average.shape for average in averages] != [variable.shape for variable in variables] or not averages:
        raise ValueError(
            f"the optimizer must keep an average of each of the model's {len(variables)} trainable weights; given: "
            f"{len(averages)} averages; create it with ema above 0, and compile again after freezing layers"
        )
    own_weights = [ops.convert_to_numpy(variable) for variable in variables]
    try:
        for variable, average in zip(variables, averages, strict=True):
            variable.assign(ops.convert_to_numpy(average))
        yield
    finally:
        for variable, weights in zip(variables, own_weights, strict=True):
            variable.assign(weights)


class _RecipeRules(ClipAfterAllReduce, keras.optimizers.Optimizer):
    """What the three optimizers share; stands before a Keras optimizer in the list of bases.

    Args:
        layer_decay: factor of the learning rate per block towards the input, in (0, 1].
        **keras_arguments: the arguments of the Keras optimizer.
    """

    def __init__(self, *, layer_decay: float = 1.0, **keras_arguments):
        require(0 < layer_decay <= 1, f"layer_decay must be in (0, 1]; given: {layer_decay}")
        super().__init__(**keras_arguments)
        self.layer_decay = layer_decay

    def build(self, variables):
        """Decide from each variable's rank and path whether it is decayed and how its learning rate is scaled.

        It happens here because Keras builds the optimizer anew when it loads a `.keras` file, but does not store what
        was passed to `exclude_from_weight_decay`.
        """
        if self.built:
            return
        self.decayed = [_is_decayed(variable) for variable in variables]
        self.scales = [1.0] * len(variables)
        if self.layer_decay < 1:
            self.scales = layer_decay_scales(variables, self.layer_decay)
        # `update_step` decays in place of Keras, which would leave out the scale.
        self.exclude_from_weight_decay(var_list=variables)
        super().build(variables)

    def add_variable_from_reference(self, reference_variable, name=None, initializer="zeros"):
        """Start the average at the weights; Keras starts it at 0 and only the first update makes it useful."""
        if name == "average":

            def initializer(shape, dtype=None):
                return ops.convert_to_tensor(reference_variable)

        return super().add_variable_from_reference(reference_variable, name=name, initializer=initializer)

    def apply(self, grads, trainable_variables=None):
        """Make the gradients of embedding tables dense before Keras clips them.

        They come as one row per *use* of a token, and Keras 3.15 takes the norm of those rows instead of their sums.
        """
        super().apply([_dense(gradient) for gradient in grads], trainable_variables)

    def finalize_variable_values(self, var_list):
        """Leave the weights as they are; Keras would write the average over them at the end of every `fit`.

        A run that was interrupted calls `fit` again, and would go on from the average: another trajectory than that of
        the uninterrupted run. Who wants the average asks for it with `averaged_weights`.
        """

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "layer_decay": self.layer_decay}

    @property
    def averages(self) -> list[keras.Variable]:
        """The average of each trainable variable, in the order of the model; empty without `use_ema`."""
        return [variable for variable in self.variables if variable.name.endswith("_average")]

    def _index(self, variable) -> int:
        # Private by its underscore, but the way that the docstring of `keras.optimizers.Optimizer` shows: under
        # tf.distribute `update_step` gets one replica's copy, which only Keras can trace back to the model's variable.
        return self._get_variable_index(variable)

    def _rates(self, variable, learning_rate):
        """The variable's own learning rate and weight decay."""
        index = self._index(variable)
        decay = self.weight_decay if self.weight_decay and self.decayed[index] else 0.0
        return ops.cast(learning_rate, variable.dtype) * self.scales[index], decay


@keras.saving.register_keras_serializable(package="mixer_tf")
class AdamW(_RecipeRules, keras.optimizers.AdamW):
    """Adam with decoupled weight decay. Loshchilov & Hutter 2019, arXiv 1711.05101.

    As in PyTorch, `w -= learning_rate * weight_decay * w` comes before Adam's step, and so follows the schedule. As in
    Keras, `epsilon` is added before the bias correction (epsilon hat of Kingma & Ba 2015).
    """

    def update_step(self, gradient, variable, learning_rate):
        """Decay the variable, then let Adam move it."""
        learning_rate, decay = self._rates(variable, learning_rate)
        if decay:
            self.assign_sub(variable, learning_rate * decay * variable)
        super().update_step(gradient, variable, learning_rate)


@keras.saving.register_keras_serializable(package="mixer_tf")
class SGD(_RecipeRules, keras.optimizers.SGD):
    """Gradient descent with momentum and an L2 penalty. He et al. 2015, arXiv 1512.03385.

    `v = momentum * v - learning_rate * (g + weight_decay * w)`, then `w += v`. This is the form of the paper's Caffe
    and of Keras; PyTorch keeps the learning rate out of `v`, which is the same until the learning rate changes.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Add the gradient of the penalty, then let SGD move the variable."""
        learning_rate, decay = self._rates(variable, learning_rate)
        if decay:
            gradient = ops.cast(gradient, variable.dtype) + decay * variable
        super().update_step(gradient, variable, learning_rate)


@keras.saving.register_keras_serializable(package="mixer_tf")
class Lamb(_RecipeRules):
    """Adam whose steps are as long as the weights ask for. You et al. 2020, arXiv 1904.00962, algorithm 2, phi(z) = z.

    `u = m_hat / (sqrt(v_hat) + epsilon) + weight_decay * w`, then `w -= learning_rate * (|w| / |u|) * u`, where the
    ratio is 1 if one of the norms is 0. (Keras's own Lamb decays outside the ratio.) Variables that are not decayed
    take Adam's plain step, as in the authors' BERT code and in timm: a bias near 0 would otherwise never leave it.

    Args:
        learning_rate: a number or a schedule.
        weight_decay: decay inside the ratio.
        beta_1: momentum of the gradient.
        beta_2: momentum of the squared gradient.
        epsilon: added to the root of the squared gradient.
        **arguments: `layer_decay`, and the arguments of `keras.optimizers.Optimizer`.
    """

    def __init__(self, learning_rate=1e-3, weight_decay=0.0, beta_1=0.9, beta_2=0.999, epsilon=1e-6, **arguments):
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **arguments)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, variables):
        """Create both moments of every variable."""
        if self.built:
            return
        super().build(variables)
        self.first_moments, self.second_moments = self.add_optimizer_variables(variables, ["momentum", "velocity"])

    def update_step(self, gradient, variable, learning_rate):
        """Update both moments, then move the variable by a share of its own norm."""
        index = self._index(variable)
        m, v = self.first_moments[index], self.second_moments[index]
        gradient = ops.cast(gradient, variable.dtype)
        self.assign_add(m, (1 - self.beta_1) * (gradient - m))
        self.assign_add(v, (1 - self.beta_2) * (ops.square(gradient) - v))

        step = ops.cast(self.iterations + 1, variable.dtype)
        m_hat, v_hat = m / _bias_correction(self.beta_1, step), v / _bias_correction(self.beta_2, step)
        learning_rate, decay = self._rates(variable, learning_rate)
        update = m_hat / (ops.sqrt(v_hat) + self.epsilon) + decay * variable
        ratio = _trust_ratio(variable, update) if self.decayed[index] else 1.0
        self.assign_sub(variable, learning_rate * ratio * update)

    def get_config(self):
        """Return the arguments."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}


OPTIMIZERS = {"adamw": AdamW, "sgd": SGD, "lamb": Lamb}
EPSILON = {"adamw": 1e-8, "lamb": 1e-6}


def _is_decayed(variable: keras.Variable) -> bool:
    return len(variable.shape) >= 2 and TABLES.isdisjoint(variable.path.split("/"))


def _dense(gradient):
    """Sum the rows of a sparse gradient; any other one, or None, stays as it is."""
    return ops.zeros(gradient.shape, gradient.dtype) + gradient if hasattr(gradient, "indices") else gradient


def _bias_correction(beta: float, step):
    """1 - beta ** step, without the loss of four digits that float32 has for beta 0.999."""
    return -ops.expm1(step * math.log(beta)) if beta else 1.0


def _norm(tensor):
    """The root of the sum of squares, of any rank; `ops.norm` takes vectors and matrices only."""
    return ops.sqrt(ops.sum(ops.square(tensor)))


def _trust_ratio(variable, update):
    norm, update_norm = _norm(variable), _norm(update)
    defined = ops.logical_and(norm > 0, update_norm > 0)
    return ops.where(defined, norm / ops.where(defined, update_norm, 1.0), 1.0)
