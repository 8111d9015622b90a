"""Models: observations, goals and tokens in, log-probabilities of action sequences out."""

from glamor_gym.models.encoders import make_encoder
from glamor_gym.models.glamor import ActionDecoder, Folded, GlamorModel, fold, log_probs

__all__ = ["ActionDecoder", "Folded", "GlamorModel", "fold", "log_probs", "make_encoder"]
