"""Runs in a process of its own: reads pairs of expressions, writes whether they are equal.

One JSON list `[gold, given]` per line in, one JSON true or false per line out. It is started as
a script and imports nothing of the library, so that it starts fast and can be killed at any time.
"""

import json
import logging
import resource
import sys

MEMORY = 4 << 30  # bytes of address space; a power tower fails instead of filling the machine


def main() -> None:
    """Answers until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    logging.disable(logging.CRITICAL)
    import math_verify

    latex = [math_verify.LatexExtractionConfig()]
    print("true", flush=True)  # ready
    for line in sys.stdin:
        try:
            gold, given = (
                math_verify.parse(f"${text}$", latex, parsing_timeout=None)
                for text in json.loads(line)
            )
            equal = bool(gold and given) and math_verify.verify(gold, given, timeout_seconds=None)
        except Exception:  # whatever a parser stumbles over states no equal value
            equal = False
        print(json.dumps(equal), flush=True)


if __name__ == "__main__":
    main()
