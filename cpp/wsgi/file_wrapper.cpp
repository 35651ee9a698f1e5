#include "wsgi/file_wrapper.h"

#include <fcntl.h>
#include <sys/stat.h>
#if defined(__linux__)
#include <linux/magic.h>
#include <sys/vfs.h>
#endif

#include <new>

#include "wsgi/py_ref.h"
#include "wsgi/runtime.h"

namespace prowingen::wsgi {
namespace {

constexpr Py_ssize_t default_block_size = 64 * 1024;

struct FileWrapperObject {
  PyObject_HEAD PyObject* file;
  Py_ssize_t block_size;
};

FileWrapperObject* cast(PyObject* self) { return reinterpret_cast<FileWrapperObject*>(self); }

PyObject* file_wrapper_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"filelike", "blksize", nullptr};
  PyObject* file;
  Py_ssize_t block_size = default_block_size;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|n", const_cast<char**>(names), &file,
                                   &block_size)) {
    return nullptr;
  }
  if (block_size <= 0) {
    PyErr_Format(PyExc_ValueError, "blksize must be positive, not %zd", block_size);
    return nullptr;
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) {
    cast(self)->file = Py_NewRef(file);
    cast(self)->block_size = block_size;
  }
  return self;
}

int file_wrapper_traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(cast(self)->file);
  return 0;
}

int file_wrapper_clear(PyObject* self) {
  Py_CLEAR(cast(self)->file);
  return 0;
}

void file_wrapper_dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  file_wrapper_clear(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyObject* file_wrapper_next(PyObject* self) {
  PyRef block =
      PyRef::steal(PyObject_CallMethod(cast(self)->file, "read", "n", cast(self)->block_size));
  if (!block) return nullptr;
  const int more = PyObject_IsTrue(block.get());
  return more == 1 ? block.release() : nullptr;  // an empty block: StopIteration
}

PyObject* file_wrapper_close(PyObject* self, PyObject*) {
  PyRef close = PyRef::steal(PyObject_GetAttr(cast(self)->file, runtime().close));
  if (!close) {
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return nullptr;
    PyErr_Clear();
    Py_RETURN_NONE;
  }
  return PyObject_CallNoArgs(close.get());
}

// What it has not of its own it has of the file, so that who is given a wrapper can seek instead of
// reading what it does not want.
PyObject* file_wrapper_getattr(PyObject* self, PyObject* name) {
  PyObject* own = PyObject_GenericGetAttr(self, name);
  if (own != nullptr || !PyErr_ExceptionMatches(PyExc_AttributeError)) return own;
  // A special method works only where the type has it.
  if (PyUnicode_Tailmatch(name, runtime().underscores, 0, PY_SSIZE_T_MAX, -1) != 0) return nullptr;
  PyErr_Clear();
  return PyObject_GetAttr(cast(self)->file, name);
}

PyObject* file_wrapper_native_size(PyObject* self, PyObject*) {
  const auto range = file_range(self);
  return range ? PyLong_FromUnsignedLongLong(range->length) : Py_NewRef(Py_None);
}

PyMethodDef methods[] = {
    {"close", file_wrapper_close, METH_NOARGS, "close()\n\nCloses the file, if it can be closed."},
    {"native_size", file_wrapper_native_size, METH_NOARGS,
     "native_size() -> int | None\n\nThe bytes that the server would send by itself, without\n"
     "calling read(); None if it would call it."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(file_wrapper_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(file_wrapper_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(file_wrapper_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(file_wrapper_clear)},
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(file_wrapper_next)},
    {Py_tp_getattro, reinterpret_cast<void*>(file_wrapper_getattr)},
    {Py_tp_methods, methods},
    {Py_tp_doc,
     const_cast<char*>("FileWrapper(filelike, blksize=65536)\n\n"
                       "wsgi.file_wrapper: a file as a response body (PEP 3333).\n"
                       "What else is asked of it, such as seek(), is asked of the file.")},
    {0, nullptr},
};

PyType_Spec spec = {"prowingen_wsgi._native.FileWrapper", sizeof(FileWrapperObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};

std::optional<long long> number_from(PyObject* object, PyObject* method) {
  const PyRef result = PyRef::steal(PyObject_CallMethodNoArgs(object, method));
  if (!result || !PyLong_Check(result.get())) return std::nullopt;
  const long long value = PyLong_AsLongLong(result.get());
  if (value < 0) return std::nullopt;
  return value;
}

bool is_exactly(PyObject* object, PyObject* type) {
  return reinterpret_cast<PyObject*>(Py_TYPE(object)) == type;
}

// False where somebody has given this one object a read() of its own.
bool reads_as_its_type(PyObject* file) {
  const Runtime& r = runtime();
  const PyRef own = PyRef::steal(PyObject_GetAttr(file, r.instance_dict));
  if (!own || !PyDict_Check(own.get())) return false;
  return PyDict_Contains(own.get(), r.read) == 0 && PyDict_Contains(own.get(), r.readinto) == 0;
}

// Many objects have a fileno() whose file holds something else: a GzipFile's is the compressed
// one. What open() returns is known to be the file itself.
bool is_plain_file(PyObject* file) {
  const Runtime& r = runtime();
  if (!reads_as_its_type(file)) return false;
  if (is_exactly(file, r.file_io)) return true;
  if (!is_exactly(file, r.buffered_reader) && !is_exactly(file, r.buffered_random)) return false;
  const PyRef raw = PyRef::steal(PyObject_GetAttr(file, r.raw));
  return raw && is_exactly(raw.get(), r.file_io) && reads_as_its_type(raw.get());
}

// What was written to it may still be in its buffer. What cannot be written now is told by read().
bool settle(PyObject* file) {
  const Runtime& r = runtime();
  const PyRef readable = PyRef::steal(PyObject_CallMethodNoArgs(file, r.readable));
  if (!readable || PyObject_IsTrue(readable.get()) != 1) return false;
  if (!is_exactly(file, r.buffered_random)) return true;
  return static_cast<bool>(PyRef::steal(PyObject_CallMethodNoArgs(file, r.flush)));
}

// Whether the system makes the file's content up when it is read, and its size is a guess: none, in
// /proc; a page, in /sys.
bool is_made_up(int descriptor, const struct stat& status) {
  if (status.st_size == 0) return true;
#if defined(__linux__)
  struct statfs system;
  if (status.st_blocks == 0 && ::fstatfs(descriptor, &system) == 0) {
    return system.f_type == SYSFS_MAGIC;
  }
#else
  static_cast<void>(descriptor);
#endif
  return false;
}

std::optional<FileRange> open_range(PyObject* file) {
  if (!is_plain_file(file) || !settle(file)) return std::nullopt;
  const auto descriptor = number_from(file, runtime().fileno);
  const auto position = descriptor ? number_from(file, runtime().tell) : std::nullopt;
  struct stat status;
  if (!position || ::fstat(static_cast<int>(*descriptor), &status) != 0 ||
      !S_ISREG(status.st_mode) || is_made_up(static_cast<int>(*descriptor), status)) {
    return std::nullopt;
  }
  FileRange range;
  // Its own descriptor: the application may close the file before the last byte is out.
  UniqueFd own(::fcntl(static_cast<int>(*descriptor), F_DUPFD_CLOEXEC, 0));
  if (!own) return std::nullopt;
  range.file = std::make_shared<const UniqueFd>(std::move(own));
  range.offset = static_cast<std::uint64_t>(*position);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  range.length = size > range.offset ? size - range.offset : 0;
  return range;
}

}  // namespace

PyTypeObject* make_file_wrapper_type() {
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

bool is_file_wrapper(PyObject* object) { return Py_TYPE(object) == runtime().file_wrapper_type; }

std::optional<FileRange> file_range(PyObject* file_wrapper) {
  auto range = open_range(cast(file_wrapper)->file);
  PyErr_Clear();  // not a real file: it is read instead, and errors show then
  return range;
}

}  // namespace prowingen::wsgi
