"""What Keras 3.15 gets wrong, put right: the one file of the package that touches private names of Keras.

`Model` is the functional `keras.Model` of the package: it remembers what its weights expect of a picture, and its `fit`
is right under `tf.distribute`. `ClipAfterAllReduce` does the same for an optimizer. Each defect has a test that fails
once Keras has mended it (`tests/test_keras_fixes.py`), so that what stands here for its sake can go.
"""

import functools
from typing import Any

import keras
from keras import ops, tree

from mixer_tf.checks import require
from mixer_tf.data.preprocess import Preprocessing

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf


_Mixin: Any = object  # stands before a class of Keras, whose methods a type checker should not miss


class _TensorFlowTraining(_Mixin):
    """What is wrong in Keras's trainer for TensorFlow under a strategy, and updates from micro-batches.

    Without a strategy and with whole batches every step is Keras's own.
    """

    accumulate_steps = 1

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Build from what one replica of this machine gets: Keras asks for the mean of all workers' batches."""
        _check_training(self)
        if self._distribute_strategy is None and self.accumulate_steps == 1:
            return
        if iterator is not None and not (self._compile_loss and self._compile_loss.built):
            _, _, batches = next(iter(iterator))
            local_results = self.distribute_strategy.experimental_local_results
            data_batch = tree.map_structure(lambda x: local_results(x)[0], next(batches))
        build_for_training(self, data_batch)

    def _make_function(self, step_function):
        """Run `steps_per_execution` steps on all replicas in one function.

        Keras's own fails under a strategy with more than one step or with XLA, and takes the mean of the workers' logs
        over an axis that they do not have.
        """
        strategy = self._distribute_strategy
        if strategy is None:
            return super()._make_function(step_function)
        step_function = self._autoconvert_optionals(step_function)

        @tf.autograph.experimental.do_not_convert
        def step(data):
            logs = strategy.run(step_function, args=(data,))
            return tree.map_structure(lambda value: strategy.reduce("MEAN", value, axis=None), logs)

        def steps(iterator):
            for _ in tf.range(self.steps_per_execution - 1):
                step(next(iterator))
            return step(next(iterator))

        if not self.run_eagerly:
            step, steps = tf.function(step, reduce_retracing=True), tf.function(steps, reduce_retracing=True)

        def function(iterator):
            if isinstance(iterator, (tf.data.Iterator, tf.distribute.DistributedIterator)):
                return steps(iterator)
            return step(next(iterator))  # the one batch of train_on_batch

        return function

    def train_step(self, data):
        """Keras's own, unless a loss is masked, there are micro-batches, or XLA has to leave the updates alone."""
        compiled = self.jit_compile and self._distribute_strategy is not None
        if self.accumulate_steps == 1 and not compiled and not _is_masked(self):
            return super().train_step(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        batch = (x, y, sample_weight, _global_share(self, sample_weight))
        learn = tf.function(self._learn, jit_compile=True) if compiled else self._learn
        gradients = self._accumulate(learn, batch) if self.accumulate_steps > 1 else self._measure(learn, *batch)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return self.get_metrics_result()

    def test_step(self, data):
        """Keras's own, unless a loss is masked: then the loss of the global batch, on every replica the same."""
        if not _is_masked(self):
            return super().test_step(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        y_pred = self(x, training=False)
        share = _global_share(self, sample_weight, examples=tf.shape(tree.flatten(x)[0])[0])
        loss = self._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=share, training=False)
        loss = tf.distribute.get_replica_context().all_reduce("SUM", loss)
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(tree.flatten(x)[0])[0])
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def _accumulate(self, learn, batch):
        """The gradients of an update, summed over its micro-batches, one after the other; None for an unused weight."""
        count = self.accumulate_steps
        micro_batches = _map(lambda x: tf.reshape(x, (count, -1, *x.shape[1:])), batch)

        def gradients_of(i):
            return self._measure(learn, *_map(lambda x: x[i], micro_batches))

        def add_next(i, *sums):
            used = [gradient for gradient in gradients_of(i) if gradient is not None]
            return i + 1, *(total + gradient for total, gradient in zip(sums, used, strict=True))

        first = gradients_of(0)  # by itself, as it says which weights are used
        used = [gradient for gradient in first if gradient is not None]
        sums = iter(tf.while_loop(lambda i, *sums: i < count, add_next, (1, *used), parallel_iterations=1)[1:])
        return [None if gradient is None else next(sums) for gradient in first]

    def _measure(self, learn, x, y, sample_weight, loss_weight):
        """The gradients of one micro-batch; its loss and its predictions go into the metrics."""
        loss, y_pred, gradients = learn(x, y, loss_weight)
        parts = self.accumulate_steps * self.distribute_strategy.num_replicas_in_sync  # which are equally large
        self._loss_tracker.update_state(loss * parts, sample_weight=tf.shape(tree.flatten(x)[0])[0])
        self.compute_metrics(x, y, y_pred, sample_weight)
        return gradients

    def _learn(self, x, y, loss_weight):
        """One micro-batch's share of the update's loss, its predictions, and its share of the gradients."""
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=loss_weight, training=True)
            loss = loss if _reductions(self) & SUMS else loss / self.accumulate_steps
            scaled_loss = self.optimizer.scale_loss(loss)  # for float16
        gradients = tape.gradient(scaled_loss, self.trainable_weights)
        return loss, y_pred, _map(tf.convert_to_tensor, gradients)


class _OwnTraining(_Mixin):
    """Keras's trainers for other backends are left alone."""


_Training: Any = _TensorFlowTraining if keras.backend.backend() == "tensorflow" else _OwnTraining


@keras.saving.register_keras_serializable(package="mixer_tf")
class Model(_Training, keras.Model):
    """A functional `keras.Model` whose `preprocessing` and the like travel with it, and whose `fit` can be trusted.

    With TensorFlow it trains under every strategy of `mixer_tf.training.strategy` as on one device: over several
    workers, with `steps_per_execution` and with `jit_compile`, which leaves the updates of the weights to TensorFlow;
    dropout differs from replica to replica. What Keras would get wrong without a word is a `ValueError` in `fit`.

    Attributes:
        preprocessing: how a picture becomes the input that the weights were trained on (`Preprocessing`), or None when
            nothing is known. `mixer_tf.load_weights` sets it, evaluation and export use it.
        classifier_arguments: of a backbone, the arguments of `mixer_tf.classifier` that its paper's classifier has and
            the usual one does not, such as `{"norm_epsilon": 1e-6}`; None for none. The builder sets it.
        accumulate_steps: number of micro-batches of one update, to train with batches that do not fit into memory; the
            batch of each replica must divide by it. The update is that of the whole batch, but that a
            BatchNormalization sees one micro-batch at a time. Set it before `fit`.

    All training batches must be equally large (`drop_remainder=True`): the mean over replicas or micro-batches of
    unequal size is not that over the batch.
    """

    preprocessing: Preprocessing | None = None
    classifier_arguments: dict[str, str | float] | None = None
    accumulate_steps: int = 1

    def get_config(self):
        """The functional model's config and, where they are known, the preprocessing and the classifier's arguments."""
        config = super().get_config()
        if self.preprocessing is not None:
            config["preprocessing"] = self.preprocessing.to_dict()
        if self.classifier_arguments:
            config["classifier_arguments"] = dict(self.classifier_arguments)
        return config

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model of `get_config`, what else it knows included."""
        config = dict(config)
        preprocessing = config.pop("preprocessing", None)
        classifier_arguments = config.pop("classifier_arguments", None)
        model = super().from_config(config, custom_objects=custom_objects)
        model.preprocessing = Preprocessing.from_dict(preprocessing) if preprocessing else None
        model.classifier_arguments = classifier_arguments
        return model


def build_for_training(model: Model, batch) -> None:
    """Make the variables of the optimizer and the metrics before the first step, which makes them otherwise.

    Args:
        model: a compiled model.
        batch: `(x, y)` or `(x, y, sample_weight)`, or their `tf.TensorSpec`s; None where an earlier call had it.
    """
    with model.distribute_strategy.scope():
        model._symbolic_build(data_batch=batch)
    replicas = model.distribute_strategy.num_replicas_in_sync
    if replicas * model.accumulate_steps > 1:
        _mend_losses(model)
    if replicas > 1:
        _differ_by_replica(model)


class ClipAfterAllReduce(_Mixin):
    """Clip the gradients of the global batch; stands before a Keras optimizer in the list of bases.

    Keras clips each replica's gradients before it sums them up, which is another update.
    """

    def _clip_gradients(self, grads):
        if _clips(self):
            grads = [gradient for gradient, _ in super()._all_reduce_sum_gradients([(g, None) for g in grads])]
        return super()._clip_gradients(grads)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars if _clips(self) else super()._all_reduce_sum_gradients(grads_and_vars)


def _map(function, batch):
    """`function` of each tensor; what is not given, such as weights, stays None."""
    return tree.map_structure(lambda x: None if x is None else function(x), batch)


def _clips(optimizer) -> bool:
    limits = optimizer.clipnorm, optimizer.global_clipnorm, optimizer.clipvalue
    return keras.backend.backend() == "tensorflow" and any(limits)


def _reductions(model) -> set[str]:
    """How the losses combine the examples of a batch; what is no Loss object has Keras's default, the mean."""
    given = [loss for loss in tree.flatten(model.loss) if loss is not None]
    return {str(getattr(loss, "reduction", "sum_over_batch_size")).lower() for loss in given}


def _check_training(model) -> None:
    """Refuse what Keras would train wrongly without a word."""
    replicas, micro_batches = model.distribute_strategy.num_replicas_in_sync, model.accumulate_steps
    reductions = _reductions(model)
    if replicas * micro_batches > 1:
        require(
            "none" not in reductions,
            "a loss on several replicas or micro-batches must be a mean or a sum; given: reduction='none'",
        )
        require(
            all(getattr(output, "_keras_mask", None) is None for output in model.outputs),
            "a mask must be given as sample weights on several replicas or micro-batches, with "
            f"reduction={MASKED!r}; given: an output with a mask of Keras, as of Embedding(mask_zero=True)",
        )
    if micro_batches > 1:
        require(
            not reductions & SUMS or (reductions <= SUMS and not model.losses),
            "accumulate_steps above 1 needs losses that are all means, or all sums without regularisation; given: "
            f"{', '.join(sorted(reductions))} and {len(model.losses)} regularisation losses",
        )
    if replicas > 1:
        require(
            all(layer.compute_dtype != "float16" for layer in model._flatten_layers()),
            f"float16 must be trained on one replica; given: {replicas}, of which Keras asks only the first whether "
            "its gradients are finite; use mixed_bfloat16",
        )
        require(
            isinstance(model.optimizer, ClipAfterAllReduce) or not _clips(model.optimizer),
            f"clipping on {replicas} replicas must come after the sum of their gradients; given: "
            f"{type(model.optimizer).__name__} of Keras, which clips before; use mixer_tf.training.optimizers",
        )


MASKED = "mean_with_sample_weight"
SUMS = {"sum", MASKED}


def _mend_losses(model) -> None:
    """Let a loss that returns a scalar, and one that is masked, count once over all replicas and micro-batches.

    Keras adds scalars up where it should average them, and divides masked losses by the weights of each part alone.
    """
    entries = model._compile_loss._flat_losses if model._compile_loss else []
    for place, entry in enumerate(entries):
        loss = object.__new__(type(entry.loss))
        loss.__dict__.update(entry.loss.__dict__)  # the user's own stays as it is, and `copy` wants to serialise it
        loss.call = _per_example(loss.call)
        if loss.reduction == MASKED:
            loss.reduction, loss.is_masked = "sum", True  # with weights that sum to 1, see `_global_share`
        entries[place] = entry._replace(loss=loss)


def _per_example(call):
    @functools.wraps(call)
    def per_example(y_true, y_pred):
        value = call(y_true, y_pred)
        return value if len(value.shape) else ops.broadcast_to(value, ops.shape(tree.flatten(y_pred)[0])[:1])

    return per_example


def _is_masked(model) -> bool:
    """Whether a loss is masked, and its mean has to be taken over several parts of the global batch."""
    parts = model.distribute_strategy.num_replicas_in_sync * model.accumulate_steps
    return parts > 1 and MASKED in _reductions(model)


def _global_share(model, sample_weight, examples=None):
    """The weights of the masked losses, divided by their sum over the global batch; the others as they are.

    Where this replica's number of examples is given, as in an evaluation, whose last batch may be shared unequally, the
    weights of the others grow with it: so their means are over all examples, too.
    """
    if not _is_masked(model):
        return sample_weight
    require(
        sample_weight is not None,
        f"a loss with reduction={MASKED!r} needs sample weights on several replicas or micro-batches; given: none",
    )

    entries = model._compile_loss._flat_losses
    masked = {entry.path[:1] for entry in entries if getattr(entry.loss, "is_masked", False)}
    means = {entry.path[:1] for entry in entries if entry.loss.reduction not in SUMS}
    replica = tf.distribute.get_replica_context()

    def share(weight):
        return tf.math.divide_no_nan(weight, replica.all_reduce("SUM", tf.reduce_sum(weight)))

    def grown(weight):
        count = tf.cast(examples, weight.dtype)
        return weight * count * replica.num_replicas_in_sync / replica.all_reduce("SUM", count)

    def weight_of(name, weight):
        if (name,) in masked:
            return share(weight)
        return grown(weight) if (name,) in means and examples is not None else weight

    if not tree.is_nested(sample_weight):
        require(
            len(entries) == len(masked),
            f"a loss with reduction={MASKED!r} beside another needs sample weights by output; given: the same for all",
        )
        return share(sample_weight)
    if isinstance(sample_weight, dict):
        return {name: weight_of(name, weight) for name, weight in sample_weight.items()}
    return type(sample_weight)(weight_of(i, weight) for i, weight in enumerate(sample_weight))


def _differ_by_replica(model) -> None:
    """Let dropout draw other numbers on each replica; Keras's generators have one state, the same on all of them."""
    for layer in model._flatten_layers():
        for generator in layer._seed_generators:
            generator.next = functools.partial(_next_of_replica, generator)


def _next_of_replica(generator, ordered=True):
    seed = type(generator).next(generator, ordered)
    replica = tf.distribute.get_replica_context()
    if replica is None:
        return seed
    step = tf.stack([replica.replica_id_in_sync_group * 1_000_003, 0])  # the first replica draws what one alone would
    return seed + tf.cast(step, seed.dtype)
