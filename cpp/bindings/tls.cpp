#include "bindings/tls.h"

#include <stdexcept>
#include <string>

#include "bindings/engine_table.h"
#include "bindings/options.h"
#include "tls/development.h"

namespace prowingen::bindings {
namespace py = pybind11;

std::unique_ptr<tls::Context> make_tls(const Options& options) {
  if (options.certfile.empty()) {
    if (!options.keyfile.empty()) throw std::invalid_argument("keyfile: it needs certfile");
    if (options.cert_reqs != "none") throw std::invalid_argument("cert_reqs: it needs certfile");
    if (!options.ocsp_file.empty()) throw std::invalid_argument("ocsp_file: it needs certfile");
    if (options.http3) throw std::invalid_argument("http3: it needs certfile");
    return nullptr;
  }
  if (!options.crl.empty() && options.cert_reqs == "none") {
    throw std::invalid_argument("crl: it needs cert_reqs, optional or required");
  }
  if (options.http3 && options.cert_reqs != "none") {
    throw std::invalid_argument("http3: it does not go with cert_reqs");
  }
  return std::make_unique<tls::Context>(options, find_engine(options).protocols(options));
}

void bind_tls(py::module_& m) {
  m.def(
      "check_tls",
      [](const py::dict& options) {
        py::list lines;
        if (const auto context = make_tls(read_options(options))) {
          for (const auto& [severity, text] : context->described()) {
            lines.append(py::make_tuple(static_cast<int>(severity), text));
          }
        }
        return lines;
      },
      py::arg("options"),
      "Reads certificates and keys as a server does. Raises ValueError for those it cannot use.");
  m.def(
      "new_development_authority",
      [] {
        const auto made = tls::new_development_authority();
        return py::make_tuple(made.certificate, made.key);
      },
      "An authority for localhost alone, and its key (PEM).");
  m.def(
      "new_development_certificate",
      [](const std::string& authority, const std::string& key) {
        const auto made = tls::new_development_certificate({authority, key});
        return py::make_tuple(made.certificate, made.key);
      },
      py::arg("authority"), py::arg("key"),
      "A certificate of it for localhost, 127.0.0.1 and ::1, and its key (PEM).");
  m.def(
      "new_self_signed_certificate",
      [](const std::string& name) {
        const auto made = tls::new_self_signed_certificate(name);
        return py::make_tuple(made.certificate, made.key);
      },
      py::arg("name"), "A certificate of nobody's for a name, and its key (PEM).");
  m.def(
      "new_ticket_key", [] { return py::bytes(tls::Tickets::new_secret()); },
      "A secret for processes that are to resume each other's TLS sessions.");
}

}  // namespace prowingen::bindings
