"""DockMon Agent: connects a Docker host to a DockMon server, outbound only."""

__version__ = "3.0.0"
