"""What the configs of golden files say, as models: one file for each architecture."""

from tests.golden_configs.as_mlp import as_mlp
from tests.golden_configs.conv_mlp import conv_mlp
from tests.golden_configs.mlp_mixer import mlp_mixer
from tests.golden_configs.ms_mlp import ms_mlp
from tests.golden_configs.resnet import resnet
from tests.golden_configs.s2_mlp import s2_mlp, s2_mlp_v2
from tests.golden_configs.vit import dinov2, vit

BUILDERS = {
    "resnet": resnet,
    "vit": vit,
    "dinov2": dinov2,
    "mlp_mixer": mlp_mixer,
    "asmlp": as_mlp,
    "convmlp": conv_mlp,
    "s2mlp": s2_mlp,
    "s2mlpv2": s2_mlp_v2,
    "msmlp": ms_mlp,
}
"""`architecture` of a config -> a function that builds its model."""
