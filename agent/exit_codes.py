"""How the process says why it ended, for restart policies and scripts."""

STOPPED = 0
DEFECT = 70  # EX_SOFTWARE: an invariant of ours broke; a restart is the remedy
CONFIG = 78  # EX_CONFIG: a setting is missing or bad; a restart changes nothing
