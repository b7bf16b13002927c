"""Modules that take long to load and are often not needed: imported when something of them is first asked for."""

from importlib import import_module


class Later:
    """A module that stands for another, until it is used.

    >>> Later("json").dumps([1])
    '[1]'
    """

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, name: str):
        value = self.__dict__[name] = getattr(import_module(self._name), name)
        return value
