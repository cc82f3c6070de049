"""The systemd unit."""

from __future__ import annotations

from pathlib import Path

from agent.installer.places import ENGINE_GROUP, USER, Places
from agent.launcher import inspection

CONFIG = 78
"""EX_CONFIG: how launcher and agent exit over a setting. The installer brings nothing of either to ask."""

WATCHDOG_S = 60
"""Without a sign of life from the launcher. It gives one in half of that, also while it verifies a release, but not
while it waits for the end of a reader that hangs, or for a disk to write its state."""

START_S = 60 + round(inspection.MAX_RELEASES * (inspection.DEADLINE_S + inspection.END_S))
"""From the start to READY=1: every release may have to be verified, and the volume cleaned."""

STOP_S = 20
"""The release has 8 s to end, and 10 to be gone when it was killed."""

STATE_PARENT = Path("/var/lib")
"""Where systemd makes and owns data directories by name."""


def unit(places: Places, python: Path) -> str:
    """The text of dockmon-agent.service.

    Args:
        python: The interpreter that the release is made for.
    """
    return f"""\
[Unit]
Description=DockMon Agent: connects this Docker host to a DockMon server
After=network-online.target docker.service
Wants=network-online.target
# It always comes back: there is no number of failures after which systemd is to give up.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={python} -I -S -B {places.root}/launcher
Environment=DATA_PATH={places.data} HOME={places.data}
EnvironmentFile={places.settings_file}
Restart=always
RestartSec=1
# But for a setting that is missing or bad: a restart changes nothing, and `systemctl status` says what it is.
RestartPreventExitStatus={CONFIG}
# The launcher's own signs of life; it watches the agent itself, and more closely.
WatchdogSec={WATCHDOG_S}
TimeoutStartSec={START_S}
TimeoutStopSec={STOP_S}
KillMode=control-group

User={USER}
SupplementaryGroups={ENGINE_GROUP}
UMask=0077
{_data_directory(places.data)}
RuntimeDirectory=dockmon-agent
RuntimeDirectoryMode=0755

NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectHostname=yes
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"""


def _data_directory(data: Path) -> str:
    if data != STATE_PARENT and data.is_relative_to(STATE_PARENT):
        return f"StateDirectory={data.relative_to(STATE_PARENT)}\nStateDirectoryMode=0700"
    return f"ReadWritePaths={data}"
