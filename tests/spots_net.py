"""A network of four outputs, for tests; it imports torch only, as every architecture that is shipped."""

import torch
from torch import nn


class Spots(nn.Module):
    """Blurred image, a width, a probability and labels of two classes, each B C (Z) Y X.

    `depth`, `width` and `residual` are there because descriptions name them.
    """

    def __init__(self, dims=2, channels=1, width=1, depth=1, kernel=3, residual=False):  # noqa: ARG002
        super().__init__()
        self.blur = (nn.Conv2d if dims == 2 else nn.Conv3d)(channels, channels, kernel, padding=kernel // 2)

    def forward(self, image):
        blurred = self.blur(image)
        width = nn.functional.softplus(blurred - image)
        return blurred, width, torch.sigmoid(image), (image > 0.5).to(image.dtype)
