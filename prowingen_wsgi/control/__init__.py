"""The control socket: what an administrator asks of a server that runs, and how it is answered.

    prowingen ctl ... --Unix socket--> server     one request a connection, JSON by the line
    HTTP --> worker, natively --door--> server    the same, from the administrators' address

protocol     what is said on the socket; what both sides agree on
socket_file  the socket's file: who may have the path, and who removes it
door         what comes by the administrators' address; `token`: what makes it trusted
endpoint     connections, without ever waiting for one: for whatever loop the server has
commands     what is common to both kinds of server that do them:
alone        one process, in a thread of its own
             a supervisor, in its loop: processes/supervisor_control.py
link         what a supervisor and each of its workers say to each other for it
in_worker    the worker's end of that
stacks       what the threads of a process are in
client       asks a server: for the command, or any other program
command      `prowingen ctl`; `shown` is what it prints, `top` its view that goes on
"""
