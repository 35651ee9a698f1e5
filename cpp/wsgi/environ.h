// The environ dict of a request (PEP 3333 "environ Variables"). With the GIL only.
#pragma once

#include <Python.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/exchange.h"
#include "http/request_target.h"
#include "wsgi/answer_calls.h"
#include "wsgi/py_ref.h"
#include "wsgi/recent_text.h"

namespace prowingen::wsgi {

/// So many of a request's first fields are compared with those of the last one.
inline constexpr std::size_t places_looked_at = 16;

/// CGI names of request fields: "Accept-Language" → "HTTP_ACCEPT_LANGUAGE". Most requests use the
/// same few dozen, so they are made once.
class FieldNames {
 public:
  /// The key for a field, or null if the field is dropped: a name with an underscore would be
  /// taken for the one with a hyphen, which a proxy in front may have checked.
  PyObject* key(std::string_view name);
  /// The same for one that stands there in its request: what stood there in the last one is known
  /// by a look.
  PyObject* key_at(std::size_t place, std::string_view name);

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  std::unordered_map<std::string, PyRef, Hash, std::equal_to<>> keys_;
  struct Seen {
    std::string_view name;  // the table's own; empty: none
    PyObject* key = nullptr;
  };
  std::array<Seen, places_looked_at> seen_;
  PyRef last_;  // keeps the newest key alive once the table is full
};

class EnvironBuilder {
 public:
  /// `software`: SERVER_SOFTWARE. `errors`: wsgi.errors; null: what sys.stderr is at each request.
  /// `tells_wait`: how long a request has waited for its worker. False with a Python error set.
  bool init(bool multithread, bool multiprocess, std::string_view software, PyRef errors,
            bool tells_wait);

  /// What else a request's environ has.
  struct Parts {
    PyObject* input;
    PyObject* trailers;
    const AnswerCalls& calls;
    PyObject* client_departure;
  };
  /// A new dict; null with a Python error set.
  PyRef build(const Exchange& exchange, const Parts& parts);
  /// Whether nobody has a reference to what was lent for an environ but its owner, who has one, and
  /// this.
  bool is_back(PyObject* lent) const;

 private:
  // SERVER_NAME and SERVER_PORT of the last connection: nearly always those of the next one.
  struct LocalEnd {
    std::string address, port;
    bool secure = false;
    PyRef name, number;
  };

  // What the template has for a key, of which the next request mostly has the same: then its copy
  // has it already. The template's own reference; null: whatever stands there.
  using Standing = PyObject*;

  // `str`s of a request that few of those after it have; or all of them, if one is asked for again
  // and again.
  struct Texts {
    PyRef target, path, remote_port;
    explicit operator bool() const { return target && path && remote_port; }
  };

  Texts make_texts(const Exchange& exchange, const TargetParts& target);
  PyRef copy_standing(const Exchange& exchange, const Parts& parts, bool secure,
                      const Texts& texts);
  bool set_errors(PyObject* environ) const;
  bool set_standing(const Exchange& exchange, const Parts& parts, bool secure);
  bool stand_again(const Texts& texts);
  bool stand(PyObject* key, Standing& standing, PyObject* value);
  bool stand_local_end(const ConnectionInfo& peer, bool secure);
  bool set_texts(PyObject* environ, const Texts& texts) const;
  bool set_fields(PyObject* environ, const Exchange& exchange, std::string_view authority);
  static bool set_deadline(PyObject* environ, SteadyTime deadline);
  static bool set_wait(PyObject* environ, const Exchange& exchange);
  static bool set_tls(PyObject* environ, const TlsFacts& tls);
  bool set_forwarded(PyObject* environ, const ForwardedTarget& forwarded);

  // With a place for each key that every request sets: its copies do not grow. Of a request, it
  // keeps no more than what few clients differ in, until another one comes.
  PyRef template_;
  PyRef errors_;
  PyRef sys_;  // its dict, where stderr is
  bool tells_wait_ = false;
  FieldNames names_;
  std::array<RecentText, places_looked_at> values_;
  RecentText target_;
  RecentText path_;
  RecentText query_;
  RecentText remote_address_;
  RecentText remote_port_;
  LocalEnd local_;
  struct {
    Standing method, protocol, server_name, server_port, remote_address, errors;
    Standing input, early_hints, send_trailers, client_departure;
    Standing request_uri, raw_uri, path, remote_port;
  } standing_{};
  std::uint64_t builds_ = 0;
  std::string decoded_path_;
};

}  // namespace prowingen::wsgi
