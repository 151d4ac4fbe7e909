"""Nudging between members of different vocabularies: they take turns on one text."""
