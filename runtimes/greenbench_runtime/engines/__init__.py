"""One file per framework; each defines ``engine()`` and, where it has them, ``weights_maker()`` and ``converter()``."""
