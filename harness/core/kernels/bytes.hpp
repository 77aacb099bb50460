// Columns from and to Python.
#pragma once
#include "blocks.hpp"
#include "native.hpp"

#include <cstdint>
#include <cstring>
#include <vector>

template <typename T>
PyObject* bytes_of(const std::vector<T>& items) {
  return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(items.data()),
                                   static_cast<Py_ssize_t>(items.size() * sizeof(T)));
}

// All that is in some blocks, which are empty then: there are never two copies of more than one.
template <typename T>
PyObject* drained(Blocks<T>& blocks) {
  PyObject* bytes =
      PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(blocks.size() * sizeof(T)));
  if (bytes == nullptr) return nullptr;
  char* to = PyBytes_AsString(bytes);
  blocks.drain([&to](const T* begin, std::size_t count) {
    if (count != 0) std::memcpy(to, begin, count * sizeof(T));
    to += count * sizeof(T);
  });
  return bytes;
}

// The blocks themselves, which are gone then.
inline PyObject* drained_blocks(Blocks<char>& text) {
  PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(text.blocks()));
  Py_ssize_t place = 0;
  text.drain([&tuple, &place](const char* begin, std::size_t count) {
    if (tuple == nullptr) return;
    PyObject* bytes = PyBytes_FromStringAndSize(begin, static_cast<Py_ssize_t>(count));
    if (bytes == nullptr || PyTuple_SetItem(tuple, place++, bytes) < 0) Py_CLEAR(tuple);
  });
  return tuple;
}

// A buffer of items of one size, released at the end.
template <typename T>
class Buffer {
 public:
  explicit Buffer(PyObject* from) : held_(PyObject_GetBuffer(from, &view_, PyBUF_C_CONTIGUOUS) == 0) {}
  ~Buffer() {
    if (held_) PyBuffer_Release(&view_);
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  explicit operator bool() const {
    if (!held_) return false;
    const bool fits = static_cast<std::size_t>(view_.len) % sizeof(T) == 0 &&
                      reinterpret_cast<std::uintptr_t>(view_.buf) % alignof(T) == 0;
    if (!fits) PyErr_SetString(PyExc_ValueError, "a buffer of another type");
    return fits;
  }
  const T* data() const { return static_cast<const T*>(view_.buf); }
  std::size_t size() const { return static_cast<std::size_t>(view_.len) / sizeof(T); }

 private:
  Py_buffer view_;
  bool held_;
};
