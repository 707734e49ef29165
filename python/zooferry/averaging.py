"""Weights averaged while training goes on, so that one network has some of what an ensemble has."""

from __future__ import annotations

from collections.abc import Mapping

import torch


class WeightAverage:
    """A running mean of a network's weights over about the last `part` of all steps so far.

    The factor of a new value is ``1 / (1 + part * (step - 1))``, so the mean reaches back in proportion to the length
    of the run (Karras 2024, section 3, in its simplest form); other than with a fixed factor, no length has to be
    known.

    Parameters
    ----------
    network : Module
        Whose weights are averaged; its floating-point statistics as well.
    part : float
        0 to 1; 0 averages nothing.
    kept : mapping, optional
        What `weights` was when the run was interrupted.
    """

    def __init__(self, network: torch.nn.Module, part: float, kept: Mapping[str, torch.Tensor] | None = None) -> None:
        self.part = part
        self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()} if part else {}
        for name, value in (kept or {}).items() if part else ():
            self.weights[name].copy_(value)

    @torch.no_grad()
    def update(self, network: torch.nn.Module, step: int) -> None:
        """Take in the weights after a step; the first step is 1."""
        if not self.part:
            return
        now = network.state_dict()
        real = [name for name, value in now.items() if value.is_floating_point()]
        means, values = [self.weights[name] for name in real], [now[name] for name in real]
        torch._foreach_lerp_(means, values, 1 / (1 + self.part * (step - 1)))
        for name in now.keys() - set(real):
            self.weights[name].copy_(now[name])
