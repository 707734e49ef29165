"""One file per architecture, importing torch only: the very file travels inside the package as its source."""
