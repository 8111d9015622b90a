"""Models: observations, goals and tokens in, log-probabilities of action sequences out."""

from glamor_gym.models.duration import DurationModel, EncodedPairs
from glamor_gym.models.encoders import make_encoder
from glamor_gym.models.glamor import (
    ActionDecoder,
    Folded,
    GlamorModel,
    Losses,
    Packing,
    fold,
    log_probs,
)

__all__ = [
    "ActionDecoder",
    "DurationModel",
    "EncodedPairs",
    "Folded",
    "GlamorModel",
    "Losses",
    "Packing",
    "fold",
    "log_probs",
    "make_encoder",
]
