"""Side-by-side measurements of prowingen-wsgi and its peers.

    python -m bench setup            the peers, in bench/.venv
    python -m bench                  measure; JSON under bench/out/
    python -m bench report FILE      Markdown table
    python -m bench plot FILE        PNG and SVG

`rows` says what is measured, `servers` who is measured and with which options,
`runner` in which order, `measurement` how. Everything stays on 127.0.0.1.
"""
