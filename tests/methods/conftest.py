"""Dummy members that several of these tests share can be imported by their file's name."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
