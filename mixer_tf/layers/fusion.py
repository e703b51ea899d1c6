"""The softmax fusion of branches: a small network decides, channel by channel, how much each branch counts.

Split attention (Zhang et al. 2020, arXiv 2004.08955) as ViP introduced it to MLPs; CycleMLP, Hire-MLP, Wave-MLP and
S2-MLPv2 took it over.
"""

import functools
import operator

from keras import layers, ops

from mixer_tf.layers.mlp import mlp


def softmax_fusion(
    branches,
    hidden_dim: int,
    *,
    name: str,
    pool=ops.mean,
    use_bias: bool = True,
    branch_axis: int = -1,
    kernel_initializer="lecun_normal",
):
    """Weigh branches `[b, h, w, c]` against each other and add them: `-> [b, h, w, c]`.

    The weights `[b, c, branches]` are layer `<name>_softmax`; the MLP that gives them is `<name>_fc1`, `<name>_fc2`.

    Args:
        branches: tensors of one shape `[b, h, w, c]`.
        hidden_dim: width between the two Dense layers.
        name: first part of the layers' names.
        pool: `ops.mean` or `ops.sum` over the pixels of the sum of all branches.
        use_bias: give both Dense layers biases.
        branch_axis: where the branches stand in the last Dense's output: -1 for `(c, branches)`, branch fastest; 1 for
            `(branches, c)`.
        kernel_initializer: of both Dense layers.
    """
    channels, number = branches[0].shape[-1], len(branches)
    total = functools.reduce(operator.add, branches)
    pooled = pool(ops.cast(total, "float32"), axis=(1, 2))  # [b, c]; a sum of many pixels overflows half precision
    logits = mlp(
        ops.cast(pooled, total.dtype),
        hidden_dim,
        output_dim=channels * number,
        use_bias=use_bias,
        kernel_initializer=kernel_initializer,
        name=name,
    )
    shape = (channels, number) if branch_axis == -1 else (number, channels)
    logits = ops.reshape(ops.cast(logits, "float32"), (-1, *shape))
    weights = layers.Softmax(axis=branch_axis, dtype="float32", name=f"{name}_softmax")(logits)
    weights = ops.cast(weights, total.dtype)
    parts = [weights[:, :, i] if branch_axis == -1 else weights[:, i] for i in range(number)]  # each [b, c]
    weighed = [branch * part[:, None, None] for branch, part in zip(branches, parts, strict=True)]
    return functools.reduce(operator.add, weighed)
