"""The fenced blocks of the documentation's pages, and what runs each kind of them.

Nothing that a reader can copy goes unrun: a block is run, or a comment before it says why not.
"""
