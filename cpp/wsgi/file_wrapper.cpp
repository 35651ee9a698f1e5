#include "wsgi/file_wrapper.h"

#include <fcntl.h>
#include <sys/stat.h>

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

PyMethodDef methods[] = {
    {"close", file_wrapper_close, METH_NOARGS, "close()\n\nCloses the file, if it can be closed."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(file_wrapper_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(file_wrapper_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(file_wrapper_traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(file_wrapper_clear)},
    {Py_tp_iter, reinterpret_cast<void*>(PyObject_SelfIter)},
    {Py_tp_iternext, reinterpret_cast<void*>(file_wrapper_next)},
    {Py_tp_methods, methods},
    {Py_tp_doc, const_cast<char*>("FileWrapper(filelike, blksize=65536)\n\n"
                                  "wsgi.file_wrapper: a file as a response body (PEP 3333).")},
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

// Many objects have a fileno() whose file holds something else: a GzipFile's is the compressed
// one. What open() returns is known to be the file itself.
bool is_plain_file(PyObject* file) {
  const Runtime& r = runtime();
  if (is_exactly(file, r.file_io)) return true;
  if (!is_exactly(file, r.buffered_reader) && !is_exactly(file, r.buffered_random)) return false;
  const PyRef raw = PyRef::steal(PyObject_GetAttr(file, r.raw));
  return raw && is_exactly(raw.get(), r.file_io);
}

std::optional<FileRange> open_range(PyObject* file) {
  if (!is_plain_file(file)) return std::nullopt;
  const auto descriptor = number_from(file, runtime().fileno);
  const auto position = descriptor ? number_from(file, runtime().tell) : std::nullopt;
  struct stat status;
  if (!position || ::fstat(static_cast<int>(*descriptor), &status) != 0 ||
      !S_ISREG(status.st_mode)) {
    return std::nullopt;
  }
  FileRange range;
  // Its own descriptor: the application may close the file before the last byte is out.
  range.file = UniqueFd(::fcntl(static_cast<int>(*descriptor), F_DUPFD_CLOEXEC, 0));
  if (!range.file) return std::nullopt;
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
