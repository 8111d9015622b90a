"""Image-goal reaching for Gymnasium; importing it registers the ``glamor/…`` environments."""

__version__ = "0.1.0"
