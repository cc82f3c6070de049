"""`requests`, loaded without what guesses encodings.

That would take 2 MB for as long as the agent runs, for texts that do not name their encoding: the engine's are UTF-8,
which `requests` assumes where nobody guesses.
"""

import sys
import warnings

_GUESSING = "charset_normalizer"

if "requests" not in sys.modules:
    sys.modules[_GUESSING] = None  # type: ignore[assignment]  # how Python spells that it is not to be had
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import requests  # noqa: F401  for its effect
    del sys.modules[_GUESSING]
