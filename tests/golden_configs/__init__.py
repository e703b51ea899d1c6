"""What the configs of golden files say, as models: one file for each architecture."""

from tests.golden_configs.as_mlp import as_mlp
from tests.golden_configs.bert import bert
from tests.golden_configs.conv_mlp import conv_mlp
from tests.golden_configs.cycle_mlp import cycle_mlp
from tests.golden_configs.eamlp import eamlp, external_attention_2d, multihead_external_attention
from tests.golden_configs.eanet import eanet
from tests.golden_configs.ff_only import ff_only
from tests.golden_configs.gfnet import gfnet
from tests.golden_configs.gmlp import gmlp
from tests.golden_configs.gpt2 import gpt2
from tests.golden_configs.hire_mlp import hire_mlp
from tests.golden_configs.mlp_mixer import mlp_mixer
from tests.golden_configs.ms_mlp import ms_mlp
from tests.golden_configs.raft_mlp import raft_mlp
from tests.golden_configs.rep_mlp_net import rep_mlp_net
from tests.golden_configs.resmlp import resmlp
from tests.golden_configs.resnet import resnet
from tests.golden_configs.s2_mlp import s2_mlp, s2_mlp_v2
from tests.golden_configs.smlp_net import smlp_net
from tests.golden_configs.vip import vip
from tests.golden_configs.vit import dinov2, vit
from tests.golden_configs.wave_mlp import wave_mlp

BUILDERS = {
    "resnet": resnet,
    "bert": bert,
    "gpt2": gpt2,
    "vit": vit,
    "dinov2": dinov2,
    "mlp_mixer": mlp_mixer,
    "ff_only": ff_only,
    "resmlp": resmlp,
    "eamlp": eamlp,
    "eanet": eanet,
    "external_attention_2d": external_attention_2d,
    "multihead_external_attention": multihead_external_attention,
    "gmlp": gmlp,
    "raftmlp": raft_mlp,
    "cyclemlp": cycle_mlp,
    "gfnet": gfnet,
    "asmlp": as_mlp,
    "wavemlp": wave_mlp,
    "hiremlp": hire_mlp,
    "vip": vip,
    "smlpnet": smlp_net,
    "convmlp": conv_mlp,
    "s2mlp": s2_mlp,
    "s2mlpv2": s2_mlp_v2,
    "msmlp": ms_mlp,
    "repmlpnet": rep_mlp_net,
}
"""`architecture` of a config -> a function that builds its model."""
