"""Toy methods of these tests can be imported by their file's name, as a user's own can."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
