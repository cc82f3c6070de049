"""`python -m agent` is `dockmon-agent`."""

from agent.cli import main

if __name__ == "__main__":
    main()
