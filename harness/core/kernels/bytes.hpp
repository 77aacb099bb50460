// Columns as Python's bytes.
#pragma once
#include "blocks.hpp"
#include "native.hpp"

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
