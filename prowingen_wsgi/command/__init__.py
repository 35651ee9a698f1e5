"""The command `prowingen`.

cli               the command line, from words to an exit code
running           what is done with it: a check, or serving
serving           what serves: this process, or workers under a supervisor
standard_streams  those that it was started without
"""

SUCCESS, FAILURE, MISUSE = 0, 1, 2
"""Exit codes, which `cli` explains."""
