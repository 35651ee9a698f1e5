// Exceptions that one thread has raised in another (PyThreadState_SetAsyncExc).
#pragma once

namespace prowingen::wsgi {

/// What was to be raised in this thread, and has not been by now, is not raised any more. With the
/// GIL.
void forget_async_exception();

}  // namespace prowingen::wsgi
