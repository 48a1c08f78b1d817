"""``python -m gapbench``."""

from gapbench.cli.main import main

if __name__ == "__main__":
    main()
