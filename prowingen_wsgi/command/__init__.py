"""The command `prowingen`.

cli               the command line, from words to an exit code
serving           what serves: this process, or workers under a supervisor
standard_streams  those that it was started without
"""
