"""`prowingen import-granian -- granian --interface wsgi app:app`: as a `prowingen.toml`.

granian has no configuration file: it is configured by its command line and by GRANIAN_* variables.

    importer      the command, and the conversion as a whole
    command_line  a command as it stands in a Procfile, a Dockerfile or a unit, taken apart
    settings      granian's settings: their flags, their variables, how their values are written
    equivalents   what becomes of each
    log_format    granian's notation of a log line in this server's

granian need not be installed.
"""
