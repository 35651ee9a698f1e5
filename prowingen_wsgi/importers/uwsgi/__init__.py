"""`prowingen import-uwsgi app.ini`: uWSGI's configuration as a `prowingen.toml`.

    importer      the command, and the conversion as a whole
    reader        a configuration as uWSGI reads it: includes, conditions, loops, placeholders
    files         what one file says, of the three formats
    magic         what %n, %d and their like stand for
    application   which application is served, and where
    addresses     which sockets it is served on
    equivalents   what becomes of each option that has an equivalent
    lacking       what to do about each one that has none, and families, about groups of them
    log_format    uWSGI's notation of a log line in this server's

uWSGI need not be installed.
"""
