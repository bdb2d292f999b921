"""AdamW in one kernel per step.

`torch.optim` loads the compiler (torch._dynamo) for its first optimiser, 2 s of CPU time; this calls the same kernel,
and its state is plain tensors, which a checkpoint can hold without pickle.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class AdamW:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101) with torch's default betas and epsilon.

    The learning rate is a tensor on the device, so that a captured step follows its schedule.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], *, weight_decay: float) -> None:
        self.parameters = [parameter for parameter in parameters if parameter.requires_grad]
        """What is learned."""
        device = self.parameters[0].device
        self.rate = torch.zeros((), device=device)
        """The learning rate, float32."""
        self._weight_decay = weight_decay
        self._steps = torch.zeros((), device=device)
        self._first = [torch.zeros_like(parameter) for parameter in self.parameters]
        self._second = [torch.zeros_like(parameter) for parameter in self.parameters]

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All that the next step depends on besides the parameters and the rate, by name."""
        named = {"steps": self._steps}
        for kind, moments in (("first", self._first), ("second", self._second)):
            named.update({f"{kind}.{index}": moment for index, moment in enumerate(moments)})
        return named

    def step(self) -> None:
        """Move the parameters against their gradients; those without a gradient stay."""
        states = zip(self.parameters, self._first, self._second, strict=True)
        used = [(each[0], each[0].grad, *each[1:]) for each in states if each[0].grad is not None]
        parameters, gradients, first, second = (list(column) for column in zip(*used, strict=True))
        with torch.no_grad():
            self._steps += 1
            torch._fused_adamw_(
                parameters,
                gradients,
                first,
                second,
                [],
                [self._steps] * len(parameters),
                lr=self.rate,
                beta1=BETAS[0],
                beta2=BETAS[1],
                weight_decay=self._weight_decay,
                eps=EPSILON,
                amsgrad=False,
                maximize=False,
            )
