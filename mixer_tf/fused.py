"""What TensorFlow computes in fewer passes over memory than Keras asks it to.

On a CPU, element-wise work costs as much as its passes over memory. For other backends all of this is plain Keras.
"""

import keras


def one_pass(function):
    """`function` of tensors, compiled by XLA with its gradient: one pass over memory each way, on a CPU.

    For training alone: in inference TensorFlow's graph optimiser fuses a GELU with the product before it, which is
    faster still, and a SavedModel should not depend on XLA. The function stays as it is in eager mode, and on a GPU or
    TPU, where Keras compiles the whole step. Further keyword arguments are constants.
    """
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    forward = tf.function(function, jit_compile=True)

    @tf.function(jit_compile=True)
    def backward(gradient, *tensors, **constants):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            y = function(*tensors, **constants)
        return tape.gradient(y, tensors, gradient)

    def fused(*tensors, **constants):
        if tf.executing_eagerly() or any(device.device_type != "CPU" for device in tf.config.list_logical_devices()):
            return function(*tensors, **constants)

        @tf.custom_gradient
        def differentiable(*tensors):
            return forward(*tensors, **constants), lambda gradient: backward(gradient, *tensors, **constants)

        return differentiable(*(tf.convert_to_tensor(tensor) for tensor in tensors))

    return fused


def batch_normalization(x, scale, offset, mean=None, variance=None, *, epsilon: float):
    """TensorFlow's own kernel over the last axis: `[b, ..., c]` -> (same, mean `[c]`, variance `[c]`).

    With a mean and a variance it normalises with these; without, with the batch's, and gives them back.
    """
    import tensorflow as tf

    training = mean is None
    pictures = x if len(x.shape) == 4 else tf.reshape(x, (-1, 1, 1, x.shape[-1]))  # the kernel knows pictures only
    nothing = tf.zeros([0])
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=pictures,
        scale=scale,
        offset=offset,
        mean=nothing if training else mean,
        variance=nothing if training else variance,
        epsilon=epsilon,
        is_training=training,
    )
    if training:  # the kernel divides by one less than the number of values, Keras by their number
        number = tf.cast(tf.size(x) // x.shape[-1], variance.dtype)
        variance = variance * tf.maximum(number - 1, 1) / number
    return tf.reshape(y, tf.shape(x)) if pictures is not x else y, mean, variance
