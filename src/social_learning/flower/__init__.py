"""Flower: the carrier over a network, and the only package that imports flwr. Messages of Flower are called letters here.

`server` is the ServerApp: the student, who drives the protocol. `client` is the ClientApp at each site: a courier between
Flower and the teacher's local socket. In a simulation, where there are no teachers of their own, `simulated` answers.
"""

import os

SWITCHED_OFF = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Flower's telemetry, its look-ups for updates, its installing of packages at run time, and the telemetry of Ray, which its
simulation uses. Flower reads its telemetry's variable when it is imported, which is before its programs load this package: whoever
starts them has to set these variables (docs/deployment.md)."""

for _name, _value in SWITCHED_OFF.items():
    os.environ.setdefault(_name, _value)
