"""The networks that greenbench measures: their interface, and per framework how they are built."""
