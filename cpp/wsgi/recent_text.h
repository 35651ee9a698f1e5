// A `str` for text of which the next one often is the same, or as long: the value of a field that a
// client sends with each request, or one that each request has another of. With the GIL only.
//
// The last one is kept. If the next is equal, it is that. If it is another, as long, and nobody but
// this has the last one any more, that is written over, as CPython itself does with a `str` that
// nobody else can see: one reference, and no hash, so that it is no key of a dict and not interned.
#pragma once

#include <Python.h>

#include <cstdint>
#include <cstring>
#include <string_view>

#include "wsgi/py_ref.h"
#include "wsgi/runtime.h"

namespace prowingen::wsgi {

inline bool is_ascii(std::string_view text) {
  constexpr std::uint64_t high_bits = 0x8080'8080'8080'8080U;
  std::uint64_t seen = 0;
  for (; text.size() >= sizeof(seen); text.remove_prefix(sizeof(seen))) {
    std::uint64_t word;
    std::memcpy(&word, text.data(), sizeof(word));
    seen |= word;
  }
  for (const char c : text) seen |= static_cast<unsigned char>(c);
  return (seen & high_bits) == 0;
}

class RecentText {
 public:
  /// With a character for each byte. Null with a Python error set.
  PyRef make(std::string_view text) {
    comes_again_ = text.size() < 2;
    if (last_ && last_size_ == text.size()) {
      auto* const characters = PyUnicode_1BYTE_DATA(last_.get());
      if (std::memcmp(characters, text.data(), text.size()) == 0) {
        comes_again_ = true;
        return PyRef::borrow(last_.get());
      }
      if (is_nobody_elses() && is_ascii(text)) {
        std::memcpy(characters, text.data(), text.size());
        return PyRef::borrow(last_.get());
      }
    }
    PyRef made = PyRef::steal(latin1(text));
    // Of one character there is one `str` for all.
    if (!made || text.size() < 2 || text.size() > longest || !PyUnicode_IS_ASCII(made.get())) {
      return made;
    }
    last_ = PyRef::borrow(made.get());
    last_size_ = text.size();
    return made;
  }

  /// The last text was as the one before it, or one of which there is one `str` for all: it may be
  /// worth a place to be found in.
  bool comes_again() const { return comes_again_; }

 private:
  // Beyond it what is kept for nothing may cost more than what is saved.
  static constexpr std::size_t longest = 256;

  bool is_nobody_elses() const {
#ifdef Py_GIL_DISABLED
    return false;  // who else refers to it, no count tells
#else
    const auto* const text = reinterpret_cast<const PyASCIIObject*>(last_.get());
#if PY_VERSION_HEX < 0x030C0000
    if (text->wstr != nullptr) return false;  // a copy that some extension has asked for
#endif
    return Py_REFCNT(last_.get()) == 1 && text->hash == -1;
#endif
  }

  PyRef last_;  // null: none; of ASCII alone
  std::size_t last_size_ = 0;
  bool comes_again_ = false;
};

}  // namespace prowingen::wsgi
