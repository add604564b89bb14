# SPDX-License-Identifier: GPL-2.0-only
"""labgrid strategy of a board whose card runs the suite by itself at power-on."""
import enum

import attr

from labgrid import target_factory
from labgrid.strategy import Strategy, StrategyError


class Status(enum.Enum):
    unknown = 0
    off = 1
    running = 2


@target_factory.reg_driver
@attr.s(eq=False)
class SuiteStrategy(Strategy):
    """There is no prompt to wait for, neither U-Boot's nor a shell's."""
    bindings = {
        "power": "PowerProtocol",
        "console": "ConsoleProtocol",
    }

    status = attr.ib(default=Status.unknown)

    def transition(self, status):
        if not isinstance(status, Status):
            status = Status[status]
        if status == self.status:
            return
        self.target.activate(self.power)
        if status == Status.off:
            self.power.off()
            self.target.deactivate(self.console)
        elif status == Status.running:
            # Listens before there is anything to hear.
            self.transition(Status.off)
            self.target.activate(self.console)
            self.power.on()
        else:
            raise StrategyError(f"no way from {self.status} to {status}")
        self.status = status
