"""Members that write one text together, token by token."""

from moco_jax.method import Method
from moco_jax.methods.logit.logit_contrastive import LogitContrastive
from moco_jax.methods.logit.logit_fusion import LogitFusion

LOGIT: dict[str, type[Method]] = {
    "logit_logit_contrastive": LogitContrastive,
    "logit_logit_fusion": LogitFusion,
}
"""Joint decoding by a function of the members' logits; see `methods.decorators`."""
