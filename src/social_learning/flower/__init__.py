"""Flower: the carrier over a network, and the only package that imports flwr. Messages of Flower are called letters here.

`server` is the ServerApp: the student, who drives the protocol. `client` is the ClientApp at each site: a courier between
Flower and the teacher's local socket. In a simulation, where there are no teachers of their own, `simulated` answers.
"""

import os

SWITCHED_OFF = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}
"""Flower's telemetry, its look-ups for updates and its installing of packages at run time. Flower reads these variables;
whoever starts its programs from a shell has to set them there (docs/deployment.md)."""

for _name, _value in SWITCHED_OFF.items():
    os.environ.setdefault(_name, _value)
