"""Several processes that serve one application: a supervisor and its workers.

rules        who is started, retired or killed, and when
supervisor   the processes, pipes and sockets behind the rules
signal_pipe  signals for a loop that waits for descriptors
generation   what all workers of one reading of the configuration share
worker       what the supervisor knows of one worker
template     with preload, what workers are forked from
forking      fork(2) with everything that a child must forget
child        what a worker does in its own process
program      what is served: a configuration, and how the application is loaded
process_exit how a process of the command ends

supervisor_control  what the supervisor is asked and told by the control socket
worker_figures      what the scoreboard says of a worker, for that
stacks_round        the stacks of all workers, for that
"""
