"""How large a model is, and how much it computes."""

import math
import re

import keras

NOT_LEARNED = ("moving_mean", "moving_variance", "seed_generator_state")


def count_parameters(model: keras.Model) -> int:
    """Number of weights as papers count them: without BatchNormalization's moving statistics.

    `model.count_params()` counts those too.

    Example:
        >>> import mixer_tf as mt
        >>> count_parameters(mt.classifier(mt.create_backbone("resnet18"), num_classes=1000))
        11689512
    """
    return sum(math.prod(weight.shape) for weight in model.weights if weight.name not in NOT_LEARNED)


def count_multiply_adds(model: keras.Model) -> int:
    """Number of multiply-adds for one example, as papers count them: products of matrices and convolutions alone.

    Counted from the TensorFlow graph, so that attention products and layers of one's own are in it; norms, activations
    and sums are not. Inputs must have fixed shapes. Inside a `keras.StatelessScope` the model needs no weights.

    Raises:
        ValueError: when an input has no fixed shape, or the graph has functions within (as Keras's convolutions in
            groups have on a CPU).

    Example:
        >>> import mixer_tf as mt
        >>> count_multiply_adds(mt.classifier(mt.create_backbone("resnet18"), num_classes=1000))
        1814073344
    """
    import tensorflow as tf

    if unknown := [tensor.name for tensor in model.inputs if None in tensor.shape[1:]]:
        raise ValueError(f"inputs must have fixed shapes for counting; given: {', '.join(unknown)} without")
    specs = [tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype) for tensor in model.inputs]
    call = tf.function(lambda *inputs: model(keras.tree.pack_sequence_as(model.input, inputs), training=False))
    operations = call.get_concrete_function(*specs).graph.get_operations()
    if nested := [operation.name for operation in operations if "PartitionedCall" in operation.type]:
        raise ValueError(f"a model must have one flat graph for counting; given: {', '.join(nested)} with their own")
    return sum(_COUNTERS[operation.type](operation) for operation in operations if operation.type in _COUNTERS)


def _sizes(tensor) -> list[int]:
    return tensor.shape.as_list()


def _matrix_product(operation) -> int:
    """Every number of the output is a sum over the axis that the two factors share."""
    transposed = "transpose_a" if operation.type == "MatMul" else "adj_x"
    shared = _sizes(operation.inputs[0])[-2 if operation.get_attr(transposed) else -1]
    return math.prod(_sizes(operation.outputs[0])) * shared


def _convolution(operation) -> int:
    """Of a dilated one, which TensorFlow computes on grids with a margin, what is left when the margin is cut off."""
    if _is_constant(operation.inputs[1]):
        return 0
    rows, columns, channels, _ = _sizes(operation.inputs[1])  # of the group's inputs
    output = operation.outputs[0]
    whole = [consumer.outputs[0] for consumer in output.consumers() if consumer.type == "BatchToSpaceND"]
    return math.prod(_sizes(*(whole or [output]))) * rows * columns * channels


def _depthwise_convolution(operation) -> int:
    """Of kernels that are padded to run side by side, count what they were before."""
    kernel = operation.inputs[1]
    if _is_constant(kernel):
        return 0
    kernels = list(kernel.op.inputs)[:-1] if kernel.op.type == "ConcatV2" else [kernel]
    kernels = [part.op.inputs[0] if part.op.type in ("Pad", "PadV2") else part for part in kernels]
    return math.prod(_sizes(operation.outputs[0])[:3]) * sum(math.prod(_sizes(part)) for part in kernels)


def _is_constant(kernel) -> bool:
    """Whether a kernel is no weight: one of ones and zeros only moves pixels."""
    operation = kernel.op
    if operation.type == "Const":
        return True
    return "Random" not in operation.type and bool(operation.inputs) and all(map(_is_constant, operation.inputs))


def _einsum(operation) -> int:
    """One product for every combination of the letters."""
    terms = re.split("->|,", operation.get_attr("equation").decode())
    letters: dict[str, int] = {}
    for term, tensor in zip(terms, operation.inputs, strict=False):
        letters |= dict(zip(term, _sizes(tensor), strict=True))
    return math.prod(letters.values()) if len(operation.inputs) > 1 else 0


_COUNTERS = {
    "MatMul": _matrix_product,
    "BatchMatMulV2": _matrix_product,
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise_convolution,
    "Einsum": _einsum,
}
