// Columns from and to Python.
#pragma once
#include "blocks.hpp"
#include "growing.hpp"
#include "native.hpp"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

template <typename T>
PyObject* bytes_of(const std::vector<T>& items) {
  return PyBytes_FromStringAndSize(reinterpret_cast<const char*>(items.data()),
                                   static_cast<Py_ssize_t>(items.size() * sizeof(T)));
}

// The same without a copy; the column is empty then.
template <typename T>
PyObject* given(Growing<T>& items) {
  const std::size_t size = items.size() * sizeof(T);
  return given(items.release(), size, std::free);
}

// All that is in some blocks, one after another. These are empty then.
inline PyObject* joined(Blocks& blocks) {
  PyObject* bytes = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(blocks.size()));
  if (bytes == nullptr) return nullptr;
  char* to = PyBytes_AsString(bytes);
  blocks.drain([&to](std::unique_ptr<char[]> block, std::size_t count) {
    if (count != 0) std::memcpy(to, block.get(), count);
    to += count;
  });
  return bytes;
}

// The blocks themselves, which are gone then.
inline PyObject* given(Blocks& blocks) {
  PyObject* tuple = PyTuple_New(static_cast<Py_ssize_t>(blocks.blocks()));
  Py_ssize_t place = 0;
  blocks.drain([&tuple, &place](std::unique_ptr<char[]> block, std::size_t count) {
    if (tuple == nullptr) return;
    const auto release = [](void* data) { delete[] static_cast<char*>(data); };
    PyObject* one = given(block.release(), count, release);
    if (one == nullptr || PyTuple_SetItem(tuple, place++, one) < 0) Py_CLEAR(tuple);
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
