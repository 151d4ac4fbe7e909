"""Members that write one text together, token by token."""

from moco_jax.method import Method
from moco_jax.methods.logit.logit_fusion import LogitFusion

LOGIT: dict[str, type[Method]] = {
    "logit_logit_fusion": LogitFusion,
}
