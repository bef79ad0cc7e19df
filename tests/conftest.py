"""Settings for all tests: no time limits on hypothesis examples, since the machines that run them are shared."""

from hypothesis import settings

settings.register_profile("starloom", deadline=None)
settings.load_profile("starloom")
