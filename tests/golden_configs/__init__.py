"""What the configs of golden files say, as models: one file for each architecture."""

from tests.golden_configs.gfnet import gfnet
from tests.golden_configs.mlp_mixer import mlp_mixer
from tests.golden_configs.raft_mlp import raft_mlp
from tests.golden_configs.rep_mlp_net import rep_mlp_net
from tests.golden_configs.resnet import resnet
from tests.golden_configs.smlp_net import smlp_net
from tests.golden_configs.vit import dinov2, vit

BUILDERS = {
    "resnet": resnet,
    "vit": vit,
    "dinov2": dinov2,
    "mlp_mixer": mlp_mixer,
    "raftmlp": raft_mlp,
    "gfnet": gfnet,
    "smlpnet": smlp_net,
    "repmlpnet": rep_mlp_net,
}
"""`architecture` of a config -> a function that builds its model."""
