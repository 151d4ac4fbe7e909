"""Roles of members in protocols: for each, what a member should say when it is asked to play it."""
