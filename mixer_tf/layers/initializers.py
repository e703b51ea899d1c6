"""Initial values as the references draw them, in a form that layers may share.

Keras takes an initializer *object* as it is, and one object without a seed draws the same numbers for every layer that
it is given to: the two matrices of an MLP would start with equal entries. A config makes a new object for each.
"""

FAN_IN_UNIFORM = {
    "class_name": "VarianceScaling",
    "config": {"scale": 1 / 3, "mode": "fan_in", "distribution": "uniform"},
}
"""Uniform within 1 / sqrt(fan-in): how PyTorch starts the matrix of a linear layer or convolution by default."""

NORMAL_002 = {"class_name": "TruncatedNormal", "config": {"stddev": 0.02}}
"""Normal with standard deviation 0.02, cut off at two of them."""
