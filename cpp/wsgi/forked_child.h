// The end of a child that the application forked and let come back.
//
// os.fork() in a view returns twice, and the child's return leads here: to a copy of a server whose
// threads are in the parent, whose locks may be held for ever, and whose client gets its answer
// from the parent. There is nothing that the child could do here but leave, by _exit(2), since exit
// handlers and unsaved files are the parent's. That holds wherever the application's code meets the
// server's: its return, an exception, a piece of its iterable, start_response, early hints,
// trailers, wsgi.input.
//
// A child that never comes back, as one of `multiprocessing`, is left alone.
#pragma once

#include <Python.h>

#include "core/exchange.h"

namespace prowingen::wsgi {

/// Ends the process: with the code of the SystemExit that is set, otherwise with 1, which tells the
/// parent of the mistake; after one line on standard error.
[[noreturn]] void leave_child(const Exchange& exchange);

/// With the GIL, where the application's code has just run, before anything of the server's is
/// touched.
inline void leave_if_forked(const Exchange& exchange) {
  if (exchange.birthplace.is_parent()) [[unlikely]]
    leave_child(exchange);
}

}  // namespace prowingen::wsgi
