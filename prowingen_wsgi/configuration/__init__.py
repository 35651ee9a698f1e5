"""The options of a server: what each means, where its value comes from, how it is checked.

config            the options, each written once
values            the kinds of value that they have
addresses         what an address to listen on may be
networks          who is trusted
layers            which source of a value wins
file, environment_file   two of the sources
arguments         another: the command line
sources           all of them, read as often as a reload asks
conflicts         options that contradict each other
"""
