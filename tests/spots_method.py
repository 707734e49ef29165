"""A method whose network has four outputs, one of every family of kinds, for tests."""
# ruff: noqa: ARG001

import numpy as np
import spots_net
import torch

from zooferry.methods import MethodFacts, Scalings, n2v
from zooferry.methods.outputs import Output
from zooferry.methods.tensors import as_tensor
from zooferry.settings import Settings

FACTS = MethodFacts("spots", "Spots: a test", (2, 3), False, "images", "Ada Lovelace, doi:10.1000/xyz")
SETTINGS = Settings
OUTPUTS = (
    Output(),
    Output("deviation", "width of the error", "scale"),
    Output("foreground", "probability of the foreground", "probability"),
    Output("classes", "0 background, 1 foreground", "labels", classes=2),
)


def scalings(settings, images, axes):
    linear = n2v.scalings(settings, images, axes)
    return Scalings(linear.preprocessing, linear.postprocessing, outputs=OUTPUTS)


def network_arguments(settings, dims, in_channels, out_channels):
    return {"dims": dims, "channels": in_channels, "width": 1, "depth": 1, "kernel": 3, "residual": False}


def build_network(settings, dims, in_channels, out_channels):
    return spots_net.Spots(**network_arguments(settings, dims, in_channels, out_channels))


def loss(network, arrays, settings, rng):
    image = as_tensor(arrays[0], network)
    blurred, width, _, _ = network(image)
    return torch.mean((blurred - image) ** 2 + width)


def foreground(settings):
    return -np.inf
