"""The search for examples is a plugin, support/searching.py; fixtures lie in the folder that they are for."""

pytest_plugins = ["searching"]
