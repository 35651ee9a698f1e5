"""Several processes that serve one application: a supervisor and its workers.

supervisor   decides who is started, retired or killed, and when
generation   what all workers of one reading of the configuration share
worker       what the supervisor knows of one worker
template     with preload, what workers are forked from
forking      fork(2) with everything that a child must forget
child        what a worker does in its own process
program      what is served: a configuration, and how the application is loaded
process_exit how a process of the command ends
"""
