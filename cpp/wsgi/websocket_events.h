// A WebSocket whose messages an application is called with, one after the other, on whatever worker
// is free: while none come it holds no thread.
#pragma once

#include <Python.h>

#include <memory>

#include "core/work_queue.h"
#include "websocket/session.h"
#include "wsgi/adapter.h"
#include "wsgi/drop_list.h"
#include "wsgi/py_ref.h"

namespace prowingen::wsgi {

/// Each is None, or is called with the WebSocket first.
struct WebSocketCallbacks {
  PyRef on_open;     // (websocket)
  PyRef on_message;  // (websocket, str | bytes)
  PyRef on_close;    // (websocket, code, reason)
};

class WebSocketEvents final : public ExchangeEvents, public websocket::Reader {
 public:
  WebSocketEvents(std::shared_ptr<websocket::Session> session, WebSocketCallbacks callbacks,
                  PyRef websocket, WorkQueue& queue, DropList& drop_list,
                  const ReportError& report);
  ~WebSocketEvents() override { abandon(); }

  void run() override;
  void abandon() override;
  void on_news() override;

 private:
  void call(const Keep& callback, PyRef arguments, const char* name);

  const std::shared_ptr<websocket::Session> session_;
  WorkQueue& queue_;
  const ReportError report_;
  // Whoever drops the last of it may have no GIL.
  Keep websocket_, on_open_, on_message_, on_close_;
  bool opened_ = false;
};

}  // namespace prowingen::wsgi
