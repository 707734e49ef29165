"""zooferry: train microscopy networks, package them for the zoo, run them in Fiji, prove the agreement."""

__version__ = "0.1.0"
