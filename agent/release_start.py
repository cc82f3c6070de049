"""What a release is started by: copied to `start.py` of each, beside its site-packages, and run without `site`."""

import os
import sys

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    # Before the standard library as well: a release brings what it was tested with.
    sys.path.insert(0, os.path.join(here, "site-packages"))

    from agent.cli import main

    main()
