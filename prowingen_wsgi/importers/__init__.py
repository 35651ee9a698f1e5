"""What `prowingen import-*` is made of: another server's configuration as a `prowingen.toml`.

Each importer reads what its server reads, and has tables that say what becomes of each setting:

    BECOMES   it becomes an option, by a function
    LACKING   it has no equivalent, which its user should hear of, with what to do instead

    conversion   what the tables make of the settings: options, remarks, the text of the file
    limits       values that more than one importer makes
    command      the command around it: arguments, output, exit codes
    uwsgi        `prowingen import-uwsgi`
    granian      `prowingen import-granian`

gunicorn's importer is in `prowingen_wsgi.gunicorn`, since the worker class for gunicorn goes by the
same tables. No importer needs its server.
"""
