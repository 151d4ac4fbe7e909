"""What went wrong in one method of many, in one line."""

import pathlib
import sysconfig
import traceback

LONGEST = 300
"""Characters of a message that are shown."""

_LIBRARIES = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))
_PACKAGE = str(pathlib.Path(__file__).parents[1])


def failed(error: Exception) -> str:
    """What failed and where: the deepest line of the user's own code, or else of this package.

    Args:
        error: as it was caught.
    """
    frames = [(one.filename, one.lineno) for one in traceback.extract_tb(error.__traceback__)]
    ours = [frame for frame in frames if frame[0].startswith(_PACKAGE)]
    users = [one for one in frames if one not in ours and not one[0].startswith(_LIBRARIES)]
    file, line = (users or ours or frames)[-1]
    # Messages of compilers and allocators go on for pages
    said = (str(error).strip() or "no message").splitlines()[0][:LONGEST]
    return f"failed: {type(error).__name__}: {said} ({file}:{line})"
