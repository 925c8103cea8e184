"""One file per framework: ``engine()`` and, where it has them, ``weights_maker()`` and ``converter()``."""
