"""Whether what a command writes can be written, found out before anything runs."""

import os
import pathlib
import tempfile


def check_folder(flag: str, path: str) -> None:
    """Makes the folder that a flag names, and tries to write into it.

    Raises:
        ValueError: it is a file.
        OSError: it cannot be made or written to.
    """
    folder = pathlib.Path(path)
    for part in (folder, *folder.parents):
        if part.is_file():
            raise ValueError(f"{part} is a file, and --{flag} needs a folder there; give another")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"--{flag}: {folder} cannot be written to ({error.strerror}); give another place"
        ) from error


def check_file(flag: str, path: str | None) -> None:
    """Tries whether the file that a flag names can be written; what is in it stays.

    Raises:
        ValueError: it is a folder, or lies below a file.
        OSError: it cannot be written.
    """
    if path is None:
        return
    file = pathlib.Path(path)
    if file.is_dir():
        raise ValueError(
            f"{file} is a folder, and --{flag} names a file; give one in it, such as "
            f"{file / 'report.html'}"
        )
    check_folder(flag, str(file.parent))
    if file.exists() and not os.access(file, os.W_OK):
        raise OSError(f"--{flag}: {file} may not be written to; give another place")
